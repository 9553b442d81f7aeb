import orjson
import pytest

from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement
from ingest.live.state import MAX_AHEAD_MS, NewestState
from ingest.registry.timeline import InstallationTimeline
from ingest.stream.messages import decode_frame
from telematics.names import OdometerSource
from tests.ingest.making import (
    NOON_MS,
    make_frame,
    make_installation,
    make_message,
    make_record,
    make_registry,
)

REGISTRY = make_registry(make_installation(), family="F")
VIN = make_installation().vin


def observe(
    *frames: list[AvlRecord], registry: InstallationTimeline = REGISTRY, received_at_ms: int = NOON_MS + 1000
) -> dict[str, tuple[int, object]]:
    """Signal → device time and value of the one vehicle after these frames."""
    state = NewestState()
    for records in frames:
        message = make_message(make_frame(*records), received_at_ms=received_at_ms)
        state.observe(decode_frame(message), AvlPacket(CodecId.CODEC_8_EXTENDED, tuple(records)), registry)
    return {
        signal.name: (signal.time_ms, orjson.loads(signal.value))
        for signals in state.signals().values()
        for signal in signals
    }


def test_a_record_shows_every_signal_that_it_has() -> None:
    io = [
        IoElement(239, 1, 1), IoElement(48, 1, 70), IoElement(66, 2, 12_400), IoElement(182, 2, 13),
        IoElement(16, 4, 1_609_344), IoElement(281, 0, b"P0300"),
    ]  # fmt: skip
    assert observe([make_record(io=io, altitude_m=0, speed_kph=0)]) == {
        "seen": (NOON_MS, {"received_at": "2025-03-14T12:00:01.000Z"}),
        "position": (
            NOON_MS,
            {
                "lat": 42.28,
                "lng": -83.7,
                "accuracy_m": 6.5,
                "heading": 90,
                "altitude_ft": 0.0,
                "satellites": 9,
                "is_valid": True,
            },
        ),
        "speed_mph": (NOON_MS, 0.0),
        "odometer": (NOON_MS, {"miles": 1000.0, "source": "gnss"}),
        "battery_voltage": (NOON_MS, 12.4),
        "fuel_pct": (NOON_MS, 70),
        "dtc_codes": (NOON_MS, ["P0300"]),
        "ignition": (NOON_MS, True),
    }


def test_without_a_fix_position_and_speed_stay_as_they_were() -> None:
    assert set(observe([make_record(satellites=0)])) == {"seen"}


def test_without_hdop_the_accuracy_is_not_known() -> None:
    _, position = observe([make_record()])["position"]
    assert isinstance(position, dict)
    assert position["accuracy_m"] is None


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_each_signal_is_its_newest_whatever_the_order(order: tuple[int, ...]) -> None:
    records = [
        make_record(NOON_MS, [IoElement(48, 1, 70), IoElement(239, 1, 0)]),
        make_record(NOON_MS + 1000, [IoElement(48, 1, 69)]),
        make_record(NOON_MS + 2000, satellites=0),
    ]
    signals = observe(*([records[number]] for number in order))
    assert observe([records[number] for number in order]) == signals
    assert signals["fuel_pct"] == (NOON_MS + 1000, 69)
    assert signals["ignition"] == (NOON_MS, False)
    assert signals["position"][0] == NOON_MS + 1000
    assert signals["seen"][0] == NOON_MS + 2000


def test_of_two_records_of_one_moment_the_first_stays() -> None:
    first, second = (make_record(io=[IoElement(48, 1, level)]) for level in (70, 10))
    assert observe([first, second])["fuel_pct"] == (NOON_MS, 70)


def test_a_record_from_the_future_or_from_before_clocks_is_ignored() -> None:
    latest = NOON_MS + 1000 + MAX_AHEAD_MS
    assert observe([make_record(latest + 1), make_record(946_684_799_999), make_record(2**64 - 1)]) == {}
    assert observe([make_record(latest)])["seen"][0] == latest


def test_a_device_in_no_vehicle_moves_nothing() -> None:
    assert observe([make_record()], registry=make_registry()) == {}
    ended = make_registry(make_installation(end_ms=NOON_MS))
    assert set(observe([make_record(NOON_MS - 1)], registry=ended)) >= {"seen"}
    assert observe([make_record(NOON_MS)], registry=ended) == {}


def test_the_vehicle_is_that_of_the_records_time() -> None:
    registry = make_registry(
        make_installation(installation_id=1, vin="0VE00000000000001", end_ms=NOON_MS),
        make_installation(installation_id=2, vin="0VE00000000000002", start_ms=NOON_MS),
    )
    records = [make_record(NOON_MS - 1), make_record(NOON_MS)]
    state = NewestState()
    state.observe(
        decode_frame(make_message(make_frame(*records))),
        AvlPacket(CodecId.CODEC_8_EXTENDED, tuple(records)),
        registry,
    )
    assert {vin: signals[0].time_ms for vin, signals in state.signals().items()} == {
        "0VE00000000000001": NOON_MS - 1,
        "0VE00000000000002": NOON_MS,
    }


@pytest.mark.parametrize(("chosen", "told"), [(None, "can"), (OdometerSource.GNSS, "gnss")])
def test_the_odometer_is_the_installations_own(chosen: OdometerSource | None, told: str) -> None:
    registry = make_registry(make_installation(odometer_source=chosen), family="F")
    io = [IoElement(16, 4, 1000), IoElement(87, 4, 2000)]
    _, odometer = observe([make_record(io=io)], registry=registry)["odometer"]
    assert isinstance(odometer, dict)
    assert odometer["source"] == told


def test_no_trouble_codes_is_told_and_unknown_ones_are_not() -> None:
    assert observe([make_record(io=[IoElement(30, 1, 0)])])["dtc_codes"] == (NOON_MS, [])
    assert "dtc_codes" not in observe([make_record(io=[IoElement(30, 1, 2)])])
