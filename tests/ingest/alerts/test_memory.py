"""A batch of frames and what was known: alerts and what is known then; repeating changes nothing."""

from collections.abc import Sequence

import pytest

from ingest.alerts import memory
from ingest.alerts.alert import Alert
from ingest.alerts.memory import EMPTY, Memory, MemoryCache, ObservedFrame, Settled, Subject, settle
from ingest.alerts.rules import Known
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement
from ingest.live.state import NewestState
from ingest.registry.timeline import InstallationTimeline
from ingest.stream.messages import decode_frame
from telematics import stream_position
from telematics.names import Topic
from tests.ingest.making import (
    NOON_MS,
    make_frame,
    make_installation,
    make_message,
    make_record,
    make_registry,
)

IMEI, VIN = make_installation().imei, make_installation().vin
REGISTRY = make_registry(make_installation(), family="OBD")
INCARNATIONS = {(Topic.AVL_FRAMES.value, 0): "topic-1"}
SUBJECT = Subject(VIN, IMEI)


def dtc(codes: str, second: int = 0) -> AvlRecord:
    return make_record(NOON_MS + second * 1000, [IoElement(281, 0, codes.encode())])


def observed(offset: int, *records: AvlRecord, registry: InstallationTimeline = REGISTRY) -> ObservedFrame:
    frame = decode_frame(make_message(make_frame(*records), offset=offset))
    seen = NewestState().observe(frame, AvlPacket(CodecId.CODEC_8_EXTENDED, records), registry)
    return ObservedFrame(frame, registry.family(frame.imei), seen)


def run(
    known: dict[Subject, Memory],
    *frames: ObservedFrame,
    incarnations: dict[tuple[str, int], str] = INCARNATIONS,
) -> Settled:
    subjects = set[Subject]().union(*(frame.subjects() for frame in frames))
    return settle(frames, {subject: known.get(subject, EMPTY) for subject in subjects}, incarnations)


def names(alerts: Sequence[Alert]) -> list[str]:
    return [f"{alert.kind} {alert.code}" for alert in alerts]


def test_an_alert_names_its_vehicle_device_time_and_place_in_the_stream() -> None:
    (alert,) = run({}, observed(7, dtc("", 2), dtc("P0300", 1))).alerts[:1]
    installation = make_installation()
    assert (alert.vin, alert.device_id, alert.origin) == (VIN, IMEI, installation.origin)
    assert (alert.time_ms, alert.received_at_ms) == (NOON_MS + 1000, NOON_MS + 1000)
    place = stream_position.unpack(alert.stream_position)
    assert (place.offset, place.record_index) == (7, 1)


def test_frames_that_come_again_raise_nothing_and_what_follows_them_goes_on() -> None:
    frames = [observed(1, dtc("P0300")), observed(2, dtc("P0171", 1)), observed(3, dtc("", 2))]
    whole = run({}, *frames)
    assert names(whole.alerts) == ["dtc_new P0300", "dtc_new P0171", "dtc_cleared P0300", "dtc_cleared P0171"]
    assert run(whole.memories, *frames) == Settled([], {}, repeated_count=3)
    for done in range(4):
        first = run({}, *frames[:done])
        again = run(first.memories, *frames)
        assert first.alerts + again.alerts == whole.alerts
        assert first.memories | again.memories == whole.memories


def test_a_batch_that_is_repeated_from_the_same_memory_raises_the_same_ids() -> None:
    frames = [observed(1, dtc("P0300")), observed(2, dtc("", 1))]
    ids = [[alert.alert_id for alert in run({}, *frames).alerts] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_a_topic_that_was_made_anew_counts_anew_with_what_was_known() -> None:
    before = run({}, observed(10**6, dtc("P0300"))).memories
    settled = run(
        before,
        observed(0, dtc("P0300,P0171", 1)),
        incarnations={(Topic.AVL_FRAMES.value, 0): "topic-2"},
    )
    assert names(settled.alerts) == ["dtc_new P0171"]


def test_a_frame_that_straddles_a_move_speaks_of_both_vehicles_each_on_its_own() -> None:
    other = "0VE00000000000018"
    registry = make_registry(
        make_installation(installation_id=1, end_ms=NOON_MS + 1000),
        make_installation(installation_id=2, vin=other, start_ms=NOON_MS + 1000),
        family="OBD",
    )
    settled = run({}, observed(1, dtc("P0300"), dtc("P0171", 1), registry=registry))
    assert [(alert.vin, alert.kind, alert.code) for alert in settled.alerts] == [
        (VIN, "dtc_new", "P0300"),
        (other, "dtc_new", "P0171"),
    ]
    assert set(settled.memories) == {SUBJECT, Subject(other, IMEI)}


@pytest.mark.parametrize("second", [-(2**40), 400])
def test_a_clock_that_is_far_off_raises_nothing(second: int) -> None:
    wrong = make_record(max(0, NOON_MS + second * 1000), [IoElement(281, 0, b"P0300")])
    assert observed(1, wrong).seen == ()


def test_what_redis_has_is_what_was_known() -> None:
    known = run({}, observed(3, dtc("P0300"), make_record(io=[IoElement(66, 2, 11_700)]))).memories[SUBJECT]
    assert memory.decode(b"|".join(memory.encode(known))) == Memory(
        "topic-1",
        known.position,
        {"dtc": Known(NOON_MS, ["P0300"]), "voltage": Known(NOON_MS, [NOON_MS, False])},
    )


@pytest.mark.parametrize("stored", [b"", b"a|b|c", b"t|1|[]", b'{"a": 1}', b't|1|{"dtc": 5}', b"\xff|1|{}"])
def test_what_is_not_of_our_form_is_as_good_as_nothing(stored: bytes) -> None:
    assert memory.decode(stored) == EMPTY


def test_the_cache_reads_each_subject_once_until_it_forgets() -> None:
    asked: list[list[Subject]] = []

    def load(subjects: object) -> dict[Subject, Memory]:
        asked.append(list(subjects))  # type: ignore[call-overload]
        return {}

    cache, other = MemoryCache(load), Subject("0VE00000000000018", IMEI)
    assert cache.get([SUBJECT, other]) == {SUBJECT: EMPTY, other: EMPTY}
    cache.put({SUBJECT: Memory("t", 1, {}), other: EMPTY})
    assert cache.get([SUBJECT])[SUBJECT].position == 1
    cache.forget()
    cache.get([SUBJECT])
    assert asked == [[SUBJECT, other], [SUBJECT]]
