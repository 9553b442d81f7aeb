import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codec8.decoding import decode_tcp_frame
from ingest.codec8.records import CodecId
from simulation.device.encoding import encode_columns
from simulation.device.packets import MAX_PACKET_BYTES, PacketBuilder, RecordTooLongError
from tests.simulation.device.columns import any_columns, io_column, make_columns, records_of


def cut(block, until=None, max_bytes=MAX_PACKET_BYTES):
    """All packets, each as full as it may be."""
    builder, sent, packets = PacketBuilder(block, max_bytes), 0, []
    until = len(block) if until is None else until
    while sent < until:
        packets.append(builder.build(sent, until))
        sent += packets[-1].count
    return packets


@given(any_columns(), st.integers(200, 600))
def test_packets_keep_order_and_length(columns, max_bytes):
    packets = cut(encode_columns(columns), max_bytes=max_bytes)
    read = [record for packet in packets for record in decode_tcp_frame(packet.frame).records]
    assert [record.timestamp_ms for record in read] == columns.timestamp_ms.tolist()
    assert [{e.id: e.raw for e in record.io} for record in read] == [
        {e.id: e.raw for e in record.io} for record in records_of(columns)
    ]
    assert all(len(packet.frame) <= max_bytes for packet in packets)


def test_a_backlog_fills_packets_up_to_the_limit():
    block = encode_columns(make_columns(500, [io_column(16, 4, range(500))]))
    packets = cut(block)
    longest = len(block.bodies) // len(block)
    assert sum(packet.count for packet in packets) == 500
    for packet in packets[:-1]:
        assert MAX_PACKET_BYTES - longest < len(packet.frame) <= MAX_PACKET_BYTES
        assert decode_tcp_frame(packet.frame).codec is CodecId.CODEC_8_EXTENDED


def test_only_due_records_are_packed():
    (packet,) = cut(encode_columns(make_columns(10)), until=3)
    assert packet.count == 3


def test_a_packet_never_holds_more_records_than_its_count_byte():
    packets = cut(encode_columns(make_columns(600)), max_bytes=60_000)
    assert [packet.count for packet in packets] == [255, 255, 90]


def test_a_record_longer_than_a_packet_is_refused():
    with pytest.raises(RecordTooLongError, match="does not fit"):
        cut(encode_columns(make_columns(1)), max_bytes=40)
