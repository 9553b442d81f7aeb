import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh64_intdigest

from ingest.codec8.decoding import decode_avl
from ingest.codec8.encoding import encode_record, join_records
from ingest.codec8.records import CodecId
from ingest.sink.rows import content_hash
from simulation.device.encoding import ColumnError, encode_columns
from tests.simulation.device.columns import (
    HEADS,
    any_columns,
    io_column,
    make_columns,
    records_of,
    text_column,
)

CODEC_8E = CodecId.CODEC_8_EXTENDED


@given(any_columns())
def test_columns_come_out_as_the_readable_encoder_writes_them(columns):
    block = encode_columns(columns)
    expected = [encode_record(record, CODEC_8E) for record in records_of(columns)]
    assert block.bodies == b"".join(expected)
    assert block.starts.tolist() == np.cumsum([0, *map(len, expected)]).tolist()


@given(any_columns())
def test_identities_are_those_that_the_sink_gives_the_rows(columns):
    block = encode_columns(columns)
    bodies = [encode_record(record, CODEC_8E) for record in records_of(columns)]
    hashes = np.array([xxh64_intdigest(body, 0) for body in bodies], np.uint64).view(np.int64)
    assert block.identities["content_hash"].tolist() == hashes.tolist()
    assert block.identities["content_hash"].tolist() == [content_hash(body) for body in bodies]
    assert block.identities["time_ms"].tolist() == columns.timestamp_ms.tolist()
    assert block.identities["event_id"].tolist() == columns.event_io_id.tolist()


@given(any_columns(), st.integers(0, 12))
def test_the_tail_encodes_to_the_tail(columns, start):
    start = min(start, len(columns))
    whole_block, tail = encode_columns(columns), encode_columns(columns.tail(start))
    assert tail.bodies == whole_block.bodies[whole_block.starts[start] :]
    assert np.array_equal(tail.identities, whole_block.identities[start:])


def test_the_decoder_reads_what_was_meant():
    columns = make_columns(2, [io_column(66, 2, [12_500, 0], [True, False]), io_column(239, 1, [1, 0])])
    bodies = encode_columns(columns)
    edges = bodies.starts.tolist()
    split = [bodies.bodies[edges[0] : edges[1]], bodies.bodies[edges[1] : edges[2]]]
    first, second = decode_avl(join_records(CODEC_8E, split)).records
    assert [(element.id, element.raw) for element in first.io] == [(239, 1), (66, 12_500)]
    assert [(element.id, element.raw) for element in second.io] == [(239, 0)]


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("side", [0, 1])
def test_a_head_that_does_not_fit_is_refused_not_wrapped(name, side):
    value = HEADS[name][side]
    assert len(encode_columns(make_columns(1, **{name: value}))) == 1
    if name == "timestamp_ms" and side == 1:
        return  # the next number does not fit in the column either
    with pytest.raises(ColumnError, match=name):
        encode_columns(make_columns(1, **{name: value + (1 if side else -1)}))


@pytest.mark.parametrize(("width", "raw"), [(1, 256), (1, -1), (2, 65_536), (4, 2**32), (8, -1)])
def test_an_element_that_does_not_fit_is_refused(width, raw):
    with pytest.raises(ColumnError, match="AVL id 7"):
        encode_columns(make_columns(1, [io_column(7, width, [raw])]))


@pytest.mark.parametrize("length", [0, 65_536])
def test_a_text_without_bytes_or_with_too_many_is_refused(length):
    with pytest.raises(ColumnError, match="AVL id 281"):
        encode_columns(make_columns(1, texts=[text_column(281, b"P" * length, [True])]))


def test_a_text_is_read_where_it_was_meant():
    columns = make_columns(2, [io_column(30, 1, [0, 1])], [text_column(281, b"P0562", [False, True])])
    block = encode_columns(columns)
    edges = block.starts.tolist()
    split = [block.bodies[edges[0] : edges[1]], block.bodies[edges[1] : edges[2]]]
    first, second = decode_avl(join_records(CODEC_8E, split)).records
    assert [(element.id, element.raw) for element in first.io] == [(30, 0)]
    assert [(element.id, element.raw) for element in second.io] == [(30, 1), (281, b"P0562")]


def test_what_is_absent_may_hold_anything():
    columns = make_columns(2, [io_column(7, 1, [-5, 3], [False, True])])
    assert len(encode_columns(columns)) == 2


@pytest.mark.parametrize(
    "io",
    [
        [io_column(7, 3, [0])],
        [io_column(7, 1, [0]), io_column(7, 1, [0])],
        [io_column(65_536, 1, [0])],
        [io_column(avl_id, 1, [0]) for avl_id in range(63)],
    ],
)
def test_columns_that_no_record_can_have_are_refused(io):
    with pytest.raises(ColumnError):
        encode_columns(make_columns(1, io))
