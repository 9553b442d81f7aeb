"""Commands, logins, pings and datagrams that are right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codec8.decoding import decode_command, decode_tcp_frame, decode_tcp_message, decode_udp_datagram
from ingest.codec8.encoding import encode_command, encode_tcp_frame, encode_udp_datagram
from ingest.codec8.errors import DecodeError, PacketError, Reason
from ingest.codec8.records import (
    AvlPacket,
    CodecId,
    CommandMessage,
    CommandType,
    IoElement,
    Login,
    Ping,
    UdpDatagram,
)
from tests.ingest.codec8 import wire
from tests.ingest.codec8.strategies import any_command, any_packet, imeis, unsigned, without_bodies


def test_codec_12_is_text_delimited_by_its_size():
    message = decode_tcp_frame(wire.VENDOR_CODEC_12)
    assert message == CommandMessage(CodecId.CODEC_12, CommandType.COMMAND, b"getinfo")


@pytest.mark.parametrize("quantities", [("00", "00"), ("01", "02"), ("07", "00")])
def test_quantities_of_commands_are_read_over(quantities):
    first, second = quantities
    message = decode_command(bytes.fromhex("0C" + first + "06" + "00000002" + "4F4B" + second))
    assert message.payload == b"OK"


def test_codec_13_counts_its_time_into_the_size():
    message = decode_command(wire.command_data("0D", "06", bytes.fromhex("0A81C320") + b"OK"))
    assert message == CommandMessage(CodecId.CODEC_13, 6, b"OK", timestamp_s=0x0A81C320)


def test_codec_14_carries_the_imei_as_decimal_nibbles():
    message = decode_tcp_frame(wire.VENDOR_CODEC_14)
    assert message == CommandMessage(CodecId.CODEC_14, CommandType.COMMAND, b"getver", "352093081452251")


def test_codec_14_nack_is_an_imei_alone():
    message = decode_command(wire.command_data("0E", "11", bytes.fromhex("0352093081452468")))
    assert message == CommandMessage(CodecId.CODEC_14, CommandType.NACK, b"", "352093081452468")


def test_codec_15_carries_time_imei_and_bytes():
    message = decode_tcp_frame(wire.VENDOR_CODEC_15)
    assert message == CommandMessage(
        CodecId.CODEC_15, CommandType.SERIAL, b"Hello!\n", "123456789123456", 1_699_440_036
    )


def test_avl_data_is_no_command():
    with pytest.raises(PacketError) as error:
        decode_command(wire.avl_data("08"))
    assert error.value.reason is Reason.UNKNOWN_CODEC


@settings(max_examples=100, deadline=None)
@given(any_command)
def test_decoding_undoes_encoding_of_commands(message):
    assert decode_command(encode_command(message)) == message
    assert decode_tcp_frame(encode_tcp_frame(message)) == message


@pytest.mark.parametrize("pings", [0, 1, 3])
def test_a_message_is_told_apart_behind_any_pings(pings):
    prefix = b"\xff" * pings
    assert decode_tcp_message(prefix + wire.LOGIN) == Login(wire.IMEI)
    assert isinstance(decode_tcp_message(prefix + wire.VENDOR_CODEC_8), AvlPacket)
    assert isinstance(decode_tcp_message(prefix + wire.VENDOR_CODEC_12), CommandMessage)


def test_nothing_but_pings_is_a_ping():
    assert decode_tcp_message(b"\xff") == Ping(1)
    assert decode_tcp_message(b"\xff\xff\xff") == Ping(3)


def test_offsets_count_the_pings_in_front():
    with pytest.raises(DecodeError) as error:
        decode_tcp_message(b"\xff\xff" + wire.tcp(wire.avl_data("08", wire.RECORD_8, second=2)))
    assert error.value.offset == 2 + 8 + len(wire.avl_data("08", wire.RECORD_8)) - 1


def test_the_vendors_datagram_decodes_to_what_its_page_says():
    datagram = decode_udp_datagram(wire.VENDOR_UDP)
    assert (datagram.packet_id, datagram.avl_packet_id, datagram.imei) == (0xCAFE, 5, "352093086403655")
    (record,) = datagram.content.records
    assert record.io == (IoElement(21, 1, 3), IoElement(1, 1, 1), IoElement(66, 2, 23_996))


def test_a_datagram_may_carry_a_command():
    datagram = decode_udp_datagram(wire.udp(wire.command_data("0C", "06", b"OK")))
    assert datagram.content == CommandMessage(CodecId.CODEC_12, 6, b"OK")


@settings(max_examples=60, deadline=None)
@given(st.builds(UdpDatagram, unsigned(16), unsigned(8), imeis, any_packet | any_command))
def test_decoding_undoes_encoding_of_datagrams(datagram):
    decoded = decode_udp_datagram(encode_udp_datagram(datagram))
    assert (decoded.packet_id, decoded.avl_packet_id, decoded.imei) == (
        datagram.packet_id,
        datagram.avl_packet_id,
        datagram.imei,
    )
    assert without_bodies(decoded.content) == datagram.content
