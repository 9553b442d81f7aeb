import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codec8.decoding import decode_avl, decode_data, decode_tcp_frame
from ingest.codec8.encoding import encode_avl, encode_record, encode_tcp_frame
from ingest.codec8.errors import PacketError, Reason
from ingest.codec8.records import AvlRecord, CodecId, IoElement
from tests.ingest.codec8 import wire
from tests.ingest.codec8.strategies import AVL, any_packet, packets, without_bodies

HEAD_VALUES = {
    "timestamp_ms": 1_700_000_000_000,
    "priority": 1,
    "longitude_raw": -837_063_040,
    "latitude_raw": 422_903_808,
    "altitude_m": -6,
    "angle_deg": 90,
    "satellites": 12,
    "speed_kph": 55,
    "event_io_id": 239,
}
FIXED_IO = (
    IoElement(239, 1, 1),
    IoElement(66, 2, 12_345),
    IoElement(16, 4, 123_456),
    IoElement(78, 8, 0x0102030405060708),
)


@pytest.mark.parametrize(
    ("codec", "record", "generation_type", "io"),
    [
        ("08", wire.RECORD_8, None, FIXED_IO),
        ("10", wire.RECORD_16, 5, FIXED_IO),
        ("8E", wire.RECORD_8E, None, (*FIXED_IO, IoElement(281, 0, b"P0300"), IoElement(257, 0, b""))),
    ],
)
def test_each_field_is_read_where_the_protocol_puts_it(codec, record, generation_type, io):
    (decoded,) = decode_avl(wire.avl_data(codec, record)).records
    body = bytes.fromhex(record)
    assert decoded == AvlRecord(**HEAD_VALUES, generation_type=generation_type, io=io, body=body)


def test_bodies_are_the_exact_bytes_of_each_record():
    packet = decode_avl(wire.avl_data("08", wire.RECORD_8, wire.RECORD_8_EMPTY, wire.RECORD_8))
    assert [record.body.hex().upper() for record in packet.records] == [
        wire.RECORD_8,
        wire.RECORD_8_EMPTY,
        wire.RECORD_8,
    ]
    assert packet.records[1].io == ()


def test_the_vendors_examples_decode_to_what_its_page_says():
    codec_8 = decode_tcp_frame(wire.VENDOR_CODEC_8).records[0]
    assert codec_8.timestamp_ms == 1_560_161_086_000
    assert codec_8.io == (
        IoElement(21, 1, 3),
        IoElement(1, 1, 1),
        IoElement(66, 2, 24_079),
        IoElement(241, 4, 24_602),
        IoElement(78, 8, 0),
    )
    extended = decode_tcp_frame(wire.VENDOR_CODEC_8E).records[0]
    assert extended.io[-2:] == (IoElement(11, 8, 893_700_218), IoElement(14, 8, 500_686_954))
    codec_16 = decode_tcp_frame(wire.VENDOR_CODEC_16)
    assert [record.generation_type for record in codec_16.records] == [5, 5]
    assert [record.event_io_id for record in codec_16.records] == [11, 11]
    assert codec_16.records[0].io == (
        IoElement(1, 1, 0),
        IoElement(3, 1, 0),
        IoElement(11, 2, 39),
        IoElement(66, 2, 22_074),
    )


def test_unknown_priority_and_generation_type_keep_the_record():
    record = wire.RECORD_16[:16] + "07" + wire.RECORD_16[18:52] + "63" + wire.RECORD_16[54:]
    (decoded,) = decode_avl(wire.avl_data("10", record)).records
    assert (decoded.priority, decoded.generation_type) == (7, 0x63)


@pytest.mark.parametrize("codec", ["08", "8E", "10"])
def test_a_packet_without_records_is_allowed(codec):
    assert decode_avl(wire.avl_data(codec)).records == ()


def test_255_records_fit():
    data = wire.avl_data("08", *[wire.RECORD_8_EMPTY] * 255)
    assert len(decode_avl(data).records) == 255


@settings(max_examples=150, deadline=None)
@given(any_packet)
def test_decoding_undoes_encoding(packet):
    frame = encode_tcp_frame(packet)
    decoded = decode_tcp_frame(frame)
    assert without_bodies(decoded) == packet
    assert encode_tcp_frame(decoded) == frame


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(AVL).flatmap(packets))
def test_a_records_body_is_its_encoding(packet):
    for record in decode_avl(encode_avl(packet)).records:
        assert record.body == encode_record(record, packet.codec)


@settings(max_examples=60, deadline=None)
@given(any_packet.filter(lambda packet: packet.records), st.data())
def test_no_part_of_a_data_field_decodes_as_the_whole(packet, data):
    field = encode_avl(packet)
    cut = data.draw(st.integers(0, len(field) - 1))
    try:
        shorter = decode_avl(field[:cut])
    except PacketError:
        return
    assert len(shorter.records) < len(packet.records) or shorter != packet


@pytest.mark.parametrize("data", [b"", b"\x08", b"\x08\x00"])
def test_fewer_than_three_bytes_are_no_data_field(data):
    for decode in (decode_avl, decode_data):
        with pytest.raises(PacketError) as error:
            decode(data)
        assert error.value.reason is Reason.BAD_LENGTH


def test_a_command_is_no_avl_packet():
    with pytest.raises(PacketError) as error:
        decode_avl(wire.VENDOR_CODEC_12[8:-4])
    assert error.value.reason is Reason.UNKNOWN_CODEC


def test_errors_tell_the_byte_of_the_whole_frame():
    frame = wire.tcp(wire.avl_data("08", wire.RECORD_8, second=9))
    with pytest.raises(PacketError) as error:
        decode_tcp_frame(frame)
    assert error.value.offset == len(frame) - 5
    assert str(error.value).startswith("count_mismatch at byte ")


def test_codec_ids_are_plain_integers_on_the_wire():
    assert [int(codec) for codec in CodecId] == [0x08, 0x8E, 0x10, 0x0C, 0x0D, 0x0E, 0x0F]
