import pytest

from ingest.sink.copy_binary import CopyEncoder
from ingest.sink.decoding import DecodedBatch, PythonFrameDecoder
from ingest.sink.reading_rows import ReadingRows, build_reading_row, encode_reading_row
from ingest.stream.messages import RawMessage
from ingest.stream.readings import decode_reading
from telematics.names import OdometerSource, Topic
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    make_frame,
    make_installation,
    make_message,
    make_reading_message,
    make_record,
    make_registry,
)
from tests.ingest.sink.test_copy_binary import read_fields

REGISTRY = make_registry(make_installation())
UNDECIDED = make_registry(make_installation(odometer_source=None))
AT = "2025-03-14T12:00:00Z"
PARTNER = b"partner:pc_abcdefghijklmnopqrst"


def decode(*messages: RawMessage, registry=REGISTRY, sources=None) -> DecodedBatch:
    return PythonFrameDecoder().decode(messages, registry, sources or {})


def test_a_devices_reading_lies_in_the_car_that_the_device_was_in() -> None:
    (row,) = read_fields(decode(make_reading_message(vin="1VE00000000000099")).copy)
    assert row["device_id"] == b"001000000000017"
    assert row["vin"] == b"0VE00000000000017"


def test_a_reading_from_before_the_installation_has_no_car() -> None:
    registry = make_registry(make_installation(start_ms=NOON_MS + 1))
    (row,) = read_fields(decode(make_reading_message(), registry=registry).copy)
    assert row["vin"] is None


def test_a_partners_reading_lies_in_the_car_that_it_names() -> None:
    (row,) = read_fields(decode(make_reading_message(key=PARTNER, vin="1VE00000000000099")).copy)
    assert row["device_id"] == PARTNER
    assert row["vin"] == b"1VE00000000000099"


def test_a_reading_that_comes_twice_in_a_batch_is_one_row() -> None:
    batch = decode(make_reading_message(offset=1), make_reading_message(offset=2, received_at_ms=NOON_MS + 9))
    assert (batch.row_count, batch.duplicate_count) == (1, 1)


def test_a_bad_reading_leaves_its_neighbours_alone_and_is_kept_whole() -> None:
    bad = make_reading_message(value=b'{"vin":"0VE00000000000017","timestamp":"soon"}', offset=2, key=PARTNER)
    batch = decode(make_reading_message(offset=1), bad, make_message(make_frame(make_record()), offset=3))
    assert batch.row_count == 2
    (reject,) = batch.rejects
    assert (reject.topic, reject.offset, reject.reason) == (Topic.READINGS, 2, "bad_form")
    assert (reject.device_id, reject.transport, reject.message) == (PARTNER.decode(), None, bad.value())
    assert reject.received_at_ms == NOON_MS + 1000


def test_what_of_key_and_header_is_out_of_order_stands_in_the_detail() -> None:
    (reject,) = decode(FakeMessage(Topic.READINGS, 0, 1, b"nobody", b"{}", None)).rejects
    assert (reject.reason, reject.device_id, reject.received_at_ms) == ("bad_key", None, None)
    assert "nobody" in reject.detail


def test_the_installations_odometer_is_the_one_that_counts() -> None:
    obd, gnss = (
        make_reading_message({"timestamp": AT, "odometer": 10, "odometer_source": source}, offset=offset)
        for offset, source in enumerate(("obd", "gnss"))
    )
    rows = read_fields(decode(obd, gnss).copy)
    assert [row["odometer_source"] for row in rows] == [None, b"gnss"]
    assert [row["odometer_obd_m"] is not None for row in rows] == [True, False]


def test_readings_choose_an_odometer_where_no_frame_had_one() -> None:
    frame = make_message(make_frame(make_record()), offset=1)
    reading = make_reading_message({"timestamp": AT, "odometer": 10, "odometer_source": "can"}, offset=2)
    batch = decode(frame, reading, registry=UNDECIDED)
    assert batch.chosen_sources == {1: OdometerSource.CAN}
    assert [row["odometer_source"] for row in read_fields(batch.copy)] == [None, b"can"]


def test_a_source_that_was_chosen_before_stays() -> None:
    reading = make_reading_message({"timestamp": AT, "odometer": 10, "odometer_source": "can"})
    batch = decode(reading, registry=UNDECIDED, sources={1: OdometerSource.GNSS})
    assert batch.chosen_sources == {}
    assert read_fields(batch.copy)[0]["odometer_source"] is None


@pytest.mark.parametrize("document", [None, {"timestamp": AT, "location": {"lat": 1, "lng": 2}, "rpm": 800}])
def test_a_devices_row_is_the_bytes_that_a_frames_row_would_be(document) -> None:
    row = build_reading_row(decode_reading(make_reading_message(document)), make_installation())
    assert encode_reading_row(row) == CopyEncoder().encode_row(row)


def test_a_message_that_holds_no_reading_is_not_counted() -> None:
    readings = ReadingRows(REGISTRY)
    with pytest.raises(Exception, match="bad_json"):
        readings.take(make_reading_message(value=b"{"))
    assert readings.reading_count == 0
