import pytest

from ingest.codec8.encoding import encode_command_frame
from ingest.codec8.records import AvlRecord, IoElement
from ingest.registry.timeline import InstallationTimeline
from ingest.sink.copy_binary import CopyEncoder, Row
from ingest.sink.decoding import DecodedBatch, PythonFrameDecoder
from ingest.stream.messages import RawMessage
from telematics.names import OdometerSource, Topic
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    make_frame,
    make_installation,
    make_message,
    make_record,
    make_registry,
)
from tests.ingest.sink.test_copy_binary import read_fields

REGISTRY = make_registry(make_installation())
HOUR_MS = 3_600_000


def decode(
    *messages: RawMessage,
    registry: InstallationTimeline = REGISTRY,
    sources: dict[int, OdometerSource] | None = None,
) -> DecodedBatch:
    return PythonFrameDecoder().decode(messages, registry, sources or {})


def odometers(batch: DecodedBatch) -> list[bytes | None]:
    return [row["odometer_source"] for row in read_fields(batch.copy)]


def broken(frame: bytes) -> bytes:
    """The same frame with a checksum that is wrong."""
    return frame[:-1] + bytes([frame[-1] ^ 1])


def test_every_record_of_every_frame_becomes_a_row() -> None:
    frames = [
        make_message(make_frame(make_record(NOON_MS + 2 * n), make_record(NOON_MS + 2 * n + 1)), offset=n)
        for n in range(3)
    ]
    batch = decode(*frames)
    assert batch.row_count == len(read_fields(batch.copy)) == 6
    assert batch.duplicate_count == 0
    assert not batch.rejects


def test_a_record_that_comes_twice_in_a_batch_is_one_row() -> None:
    frame = make_frame(make_record(), make_record(NOON_MS + 1))
    batch = decode(make_message(frame, offset=1), make_message(frame, offset=2))
    assert (batch.row_count, batch.duplicate_count) == (2, 2)


def test_the_same_bytes_of_two_devices_are_two_rows() -> None:
    frame = make_frame(make_record())
    batch = decode(make_message(frame), make_message(frame, imei="001000000000025", offset=1))
    assert batch.row_count == 2


def test_rows_are_counted_by_the_utc_day_of_the_devices_clock() -> None:
    midnight = NOON_MS + 12 * HOUR_MS
    batch = decode(make_message(make_frame(make_record(midnight - 1), make_record(midnight))))
    assert batch.rows_by_day == {midnight // 86_400_000 - 1: 1, midnight // 86_400_000: 1}


def test_a_frame_that_does_not_decode_leaves_its_neighbours_alone() -> None:
    bad = broken(make_frame(make_record()))
    batch = decode(
        make_message(make_frame(make_record()), offset=1),
        make_message(bad, offset=2),
        make_message(make_frame(make_record(NOON_MS + 1)), offset=3),
    )
    assert batch.row_count == 2
    (reject,) = batch.rejects
    assert (reject.offset, reject.reason, reject.message) == (2, "bad_crc", bad)
    assert (reject.device_id, reject.transport, reject.received_at_ms) == (
        "001000000000017",
        "tcp",
        NOON_MS + 1000,
    )


@pytest.mark.parametrize("time_ms", [0, 946_684_799_999, 4_102_444_800_000, 2**64 - 1])
def test_a_record_of_an_impossible_time_parks_its_frame_and_not_the_other_records(time_ms: int) -> None:
    frame = make_frame(make_record(), make_record(time_ms), make_record(NOON_MS + 1))
    batch = decode(make_message(frame))
    assert batch.row_count == 2
    (reject,) = batch.rejects
    assert (reject.reason, reject.message) == ("time_out_of_range", frame)
    assert "records 1 " in reject.detail


def test_a_record_from_the_near_future_is_stored() -> None:
    batch = decode(make_message(make_frame(make_record(NOON_MS + 48 * HOUR_MS))))
    assert (batch.row_count, len(batch.rejects)) == (1, 0)


def test_a_command_in_the_frame_topic_is_parked() -> None:
    (reject,) = decode(make_message(encode_command_frame("getinfo"))).rejects
    assert reject.reason == "not_avl"


@pytest.mark.parametrize(
    ("message", "reason", "device_id"),
    [
        (FakeMessage(Topic.AVL_FRAMES, 0, 0, b"\x00nonsense", b"x", None), "bad_key", None),
        (FakeMessage(Topic.AVL_FRAMES, 0, 0, None, b"x", None), "bad_key", None),
        (FakeMessage(Topic.AVL_FRAMES, 0, 0, b"001000000000017", None, None), "no_value", "001000000000017"),
        (FakeMessage(Topic.AVL_FRAMES, 0, 0, b"001000000000017", b"x", []), "bad_headers", "001000000000017"),
    ],
)
def test_a_message_that_breaks_the_contract_is_parked_with_what_it_had(
    message: FakeMessage, reason: str, device_id: str | None
) -> None:
    (reject,) = decode(message).rejects
    assert (reject.reason, reject.device_id, reject.message) == (reason, device_id, message.value() or b"")
    assert f"key {message.key()!r}" in reject.detail
    assert "\0" not in reject.detail


def test_an_unknown_device_has_rows_without_a_vin() -> None:
    batch = decode(make_message(make_frame(make_record()), imei="001000000000033"))
    (row,) = read_fields(batch.copy)
    assert row["vin"] is None
    assert row["device_id"] == b"001000000000033"


def test_the_vin_is_that_of_the_installation_at_the_records_time() -> None:
    registry = make_registry(
        make_installation(installation_id=1, vin="0VE00000000000001", end_ms=NOON_MS),
        make_installation(installation_id=2, vin="0VE00000000000002", start_ms=NOON_MS),
    )
    frame = make_frame(make_record(NOON_MS - 1), make_record(NOON_MS))
    rows = read_fields(decode(make_message(frame), registry=registry).copy)
    assert [row["vin"] for row in rows] == [b"0VE00000000000001", b"0VE00000000000002"]


class TestOdometerSource:
    UNDECIDED = make_registry(make_installation(odometer_source=None), family="F")

    @staticmethod
    def record(time_ms: int, *ids: int) -> AvlRecord:
        return make_record(time_ms, [IoElement(avl_id, 4, 1000) for avl_id in ids])

    def test_the_best_of_the_first_batch_is_chosen_and_used_for_all_of_it(self) -> None:
        frame = make_frame(self.record(NOON_MS, 16), self.record(NOON_MS + 1, 16, 389))
        batch = decode(make_message(frame), registry=self.UNDECIDED)
        assert batch.chosen_sources == {1: OdometerSource.OBD}
        assert odometers(batch) == [None, b"obd"]

    def test_nothing_is_chosen_while_no_odometer_was_sent(self) -> None:
        batch = decode(make_message(make_frame(make_record())), registry=self.UNDECIDED)
        assert batch.chosen_sources == {}

    def test_a_choice_made_since_the_registry_was_read_holds(self) -> None:
        frame = make_frame(self.record(NOON_MS, 87, 16))
        batch = decode(make_message(frame), registry=self.UNDECIDED, sources={1: OdometerSource.GNSS})
        assert batch.chosen_sources == {}
        assert odometers(batch) == [b"gnss"]

    def test_a_better_odometer_that_comes_later_changes_nothing(self) -> None:
        registry = make_registry(make_installation(odometer_source=OdometerSource.GNSS), family="F")
        batch = decode(make_message(make_frame(self.record(NOON_MS, 87))), registry=registry)
        assert odometers(batch) == [None]


def test_the_same_messages_give_the_same_bytes() -> None:
    messages = [make_message(make_frame(make_record(NOON_MS + n)), offset=n) for n in range(5)]
    assert decode(*messages).copy == decode(*messages).copy
    rows: list[Row] = []
    assert CopyEncoder().encode(rows) == decode().copy
