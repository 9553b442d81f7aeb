from xxhash import xxh64

from ingest.sink.columns import epoch_milliseconds, postgres_microseconds
from ingest.sink.rows import build_row, content_hash, frame_context
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


def test_times_are_counted_from_postgresqls_epoch() -> None:
    assert postgres_microseconds(946_684_800_000) == 0
    assert postgres_microseconds(946_684_799_999) == -1000
    assert epoch_milliseconds(postgres_microseconds(NOON_MS)) == NOON_MS


def test_the_hash_is_xxh64_of_the_records_bytes_read_as_signed() -> None:
    bodies = [b"a" * length for length in range(64)]
    hashes = [content_hash(body) for body in bodies]
    assert [value % 2**64 for value in hashes] == [xxh64(body, seed=0).intdigest() for body in bodies]
    assert min(hashes) < 0 < max(hashes)
    assert all(-(2**63) <= value < 2**63 for value in hashes)


def test_a_row_says_where_it_came_from_and_when() -> None:
    message = make_message(make_frame(make_record()), partition=3, offset=99, received_at_ms=NOON_MS + 5)
    frame = decode_frame(message)
    context = frame_context(frame, make_registry(make_installation()))
    row = build_row(make_record(), 2, context, None)
    assert row["stream_position"] == stream_position.pack(Topic.AVL_FRAMES, 3, 99, 2)
    assert row["received_at"] == postgres_microseconds(NOON_MS + 5)
    assert row["time"] == postgres_microseconds(NOON_MS)
    assert row["device_id"] == b"001000000000017"
    assert "vin" not in row
    installed = build_row(make_record(), 2, context, make_installation())
    assert installed["vin"] == b"0VE00000000000017"
