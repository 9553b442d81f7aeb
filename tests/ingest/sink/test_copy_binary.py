import struct

import pytest

from ingest.sink.columns import COLUMN_NAMES, COLUMNS, FIXED_COLUMNS, TEXT, VariableColumn
from ingest.sink.copy_binary import SIGNATURE, TRAILER, CopyEncoder, Row, encode_text_array

IDENTITY: Row = {"time": 1, "device_id": b"001000000000017", "event_id": 0, "content_hash": -1}


def read_fields(stream: bytes) -> list[dict[str, bytes | None]]:
    """A reader of COPY BINARY, written from PostgreSQL's documentation."""
    assert stream[:11] == b"PGCOPY\n\xff\r\n\0"
    assert stream[11:19] == bytes(8)
    rows, at = [], 19
    while (count := struct.unpack_from(">h", stream, at)[0]) != -1:
        at += 2
        row: dict[str, bytes | None] = {}
        for name in COLUMN_NAMES[:count]:
            (length,) = struct.unpack_from(">i", stream, at)
            at += 4
            row[name] = None if length == -1 else stream[at : at + length]
            at += max(length, 0)
        assert count == len(COLUMNS)
        rows.append(row)
    assert at + 2 == len(stream)
    return rows


def test_a_stream_without_rows_is_signature_and_trailer() -> None:
    assert CopyEncoder().encode([]) == SIGNATURE + TRAILER


def test_columns_that_a_row_lacks_are_null() -> None:
    (row,) = read_fields(CopyEncoder().encode([IDENTITY]))
    present = {name for name, field in row.items() if field is not None}
    assert present == set(IDENTITY)
    assert row["device_id"] == b"001000000000017"
    assert row["content_hash"] == b"\xff" * 8


@pytest.mark.parametrize("name", [column.name for column in FIXED_COLUMNS])
def test_each_fixed_column_can_stand_alone(name: str) -> None:
    column = next(column for column in FIXED_COLUMNS if column.name == name)
    value = b"x" * int(column.code[:-1]) if column.code.endswith("s") else True if column.code == "?" else 7
    (row,) = read_fields(CopyEncoder().encode([{**IDENTITY, name: value}]))
    assert row[name] == struct.pack(f">{column.code}", value)


def test_rows_with_different_columns_share_a_stream() -> None:
    rows: list[Row] = [IDENTITY, {**IDENTITY, "rpm": 900}, {**IDENTITY, "raw_data": "{}"}, IDENTITY]
    decoded = read_fields(CopyEncoder().encode(rows))
    assert [row["rpm"] for row in decoded] == [None, struct.pack(">i", 900), None, None]
    assert [row["raw_data"] for row in decoded] == [None, None, b"\x01{}", None]


def test_the_order_of_a_rows_keys_does_not_matter() -> None:
    row: Row = {**IDENTITY, "rpm": 900, "lat": 1.5}
    assert CopyEncoder().encode([row]) == CopyEncoder().encode([dict(reversed(row.items()))])


def test_text_arrays_have_a_dimension_only_if_they_have_elements() -> None:
    assert encode_text_array(()) == struct.pack(">iii", 0, 0, TEXT)
    assert encode_text_array(("P0300", "é")) == (
        struct.pack(">iiiii", 1, 0, TEXT, 2, 1) + b"\0\0\0\x05P0300" + b"\0\0\0\x02" + "é".encode()
    )


def test_a_value_beyond_its_column_is_an_error_and_not_another_value() -> None:
    with pytest.raises(struct.error):
        CopyEncoder().encode([{**IDENTITY, "priority": 40_000}])


def test_a_sender_that_shuffles_its_elements_does_not_fill_the_memory() -> None:
    encoder = CopyEncoder()
    names = [column.name for column in COLUMNS if not isinstance(column, VariableColumn)][7:]
    for seed in range(6000):
        keys = [name for bit, name in enumerate(names) if seed >> bit % 13 & 1]
        fields = {name: False if name in ("is_valid", "ignition", "movement") else 1 for name in keys}
        encoder.encode_row({**IDENTITY, **fields, "vin": b"0" * 17} if seed % 2 else {**fields, **IDENTITY})
    assert encoder.pattern_count <= 4096
