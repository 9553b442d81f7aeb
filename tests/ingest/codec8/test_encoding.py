import pytest

from ingest.codec8.decoding import decode_tcp_frame
from ingest.codec8.encoding import (
    EncodeError,
    encode_avl,
    encode_command,
    encode_command_frame,
    encode_login,
    encode_record,
    encode_tcp_acknowledgement,
    encode_tcp_frame,
    encode_udp_acknowledgement,
    join_records,
    wrap_tcp,
    wrap_udp,
)
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, CommandMessage, IoElement
from tests.ingest.codec8 import wire

CODEC_8, CODEC_8E, CODEC_16 = CodecId.CODEC_8, CodecId.CODEC_8_EXTENDED, CodecId.CODEC_16


def make_record(**overrides):
    values = {
        "timestamp_ms": 1_700_000_000_000,
        "priority": 1,
        "longitude_raw": -837_063_040,
        "latitude_raw": 422_903_808,
        "altitude_m": -6,
        "angle_deg": 90,
        "satellites": 12,
        "speed_kph": 55,
        "event_io_id": 0,
    }
    return AvlRecord(**(values | overrides))


@pytest.mark.parametrize(
    "frame",
    [wire.VENDOR_CODEC_8, wire.VENDOR_CODEC_8_TWO_RECORDS, wire.VENDOR_CODEC_8E, wire.VENDOR_CODEC_16],
)
def test_the_vendors_examples_come_out_byte_for_byte(frame):
    assert encode_tcp_frame(decode_tcp_frame(frame)) == frame


def test_commands_come_out_as_the_vendors_examples():
    assert encode_command_frame("getinfo") == wire.VENDOR_CODEC_12
    assert encode_command_frame("getver", imei="352093081452251") == wire.VENDOR_CODEC_14


def test_login_and_answers_are_the_documented_bytes():
    assert encode_login(wire.IMEI) == wire.LOGIN
    assert encode_tcp_acknowledgement(2) == b"\x00\x00\x00\x02"
    assert encode_udp_acknowledgement(0xCAFE, 5, 1) == bytes.fromhex("0005CAFE010501")


def test_elements_are_grouped_by_width_and_keep_their_order_within():
    given = (IoElement(9, 2, 1), IoElement(3, 1, 7), IoElement(6, 2, 2), IoElement(1, 1, 8))
    frame = encode_tcp_frame(AvlPacket(CODEC_8, (make_record(io=given),)))
    assert decode_tcp_frame(frame).records[0].io == (
        IoElement(3, 1, 7),
        IoElement(1, 1, 8),
        IoElement(9, 2, 1),
        IoElement(6, 2, 2),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timestamp_ms", -1),
        ("timestamp_ms", 2**64),
        ("priority", 256),
        ("longitude_raw", 2**31),
        ("latitude_raw", -(2**31) - 1),
        ("altitude_m", 32_768),
        ("angle_deg", -1),
        ("satellites", 256),
        ("speed_kph", 65_536),
        ("event_io_id", 65_536),
        ("speed_kph", 12.5),
    ],
)
@pytest.mark.parametrize("codec", [CODEC_8, CODEC_8E])
def test_a_value_that_does_not_fit_is_refused(codec, field, value):
    with pytest.raises(EncodeError, match="does not fit"):
        encode_record(make_record(**{field: value}), codec)


@pytest.mark.parametrize(
    ("codec", "element"),
    [
        (CODEC_8, IoElement(256, 1, 0)),
        (CODEC_8E, IoElement(65_536, 1, 0)),
        (CODEC_8, IoElement(1, 1, 256)),
        (CODEC_8, IoElement(1, 2, -1)),
        (CODEC_8, IoElement(1, 3, 0)),
        (CODEC_8, IoElement(1, 0, b"text")),
        (CODEC_16, IoElement(1, 0, b"text")),
        (CODEC_8E, IoElement(1, 0, 5)),
        (CODEC_8E, IoElement(1, 2, b"ab")),
        (CODEC_8E, IoElement(1, 0, bytes(65_536))),
    ],
)
def test_an_element_that_does_not_fit_is_refused(codec, element):
    generation_type = 7 if codec is CODEC_16 else None
    with pytest.raises(EncodeError):
        encode_record(make_record(io=(element,), generation_type=generation_type), codec)


def test_codec_8_ids_end_at_255_where_codec_8_extended_goes_on():
    assert encode_record(make_record(event_io_id=385), CODEC_8E)
    with pytest.raises(EncodeError):
        encode_record(make_record(event_io_id=385), CODEC_8)


def test_codec_8_holds_255_elements_and_extended_more():
    many = tuple(IoElement(number % 256, 1, 0) for number in range(256))
    assert encode_record(make_record(io=many), CODEC_8E)
    assert encode_record(make_record(io=many[1:]), CODEC_8)
    with pytest.raises(EncodeError):
        encode_record(make_record(io=many), CODEC_8)


@pytest.mark.parametrize(("codec", "generation_type"), [(CODEC_8, 1), (CODEC_8E, 0), (CODEC_16, None)])
def test_only_codec_16_has_a_generation_type(codec, generation_type):
    with pytest.raises(EncodeError, match="generation type"):
        encode_record(make_record(generation_type=generation_type), codec)


def test_a_packet_holds_255_records():
    body = encode_record(make_record(), CODEC_8)
    assert join_records(CODEC_8, [body] * 255)[1] == 255
    with pytest.raises(EncodeError, match="256 records"):
        join_records(CODEC_8, [body] * 256)


def test_joined_bodies_equal_the_packet():
    record = make_record()
    bodies = [encode_record(record, CODEC_8)] * 3
    assert join_records(CODEC_8, bodies) == encode_avl(AvlPacket(CODEC_8, (record,) * 3))


def test_records_and_commands_do_not_mix():
    with pytest.raises(EncodeError, match="carries no AVL records"):
        encode_avl(AvlPacket(CodecId.CODEC_12, ()))
    with pytest.raises(EncodeError, match="carries no AVL records"):
        encode_record(make_record(), CodecId.CODEC_14)
    with pytest.raises(EncodeError, match="carries no commands"):
        encode_command(CommandMessage(CODEC_8, 5, b""))


@pytest.mark.parametrize(
    "message",
    [
        CommandMessage(CodecId.CODEC_12, 5, b"", imei=wire.IMEI),
        CommandMessage(CodecId.CODEC_12, 5, b"", timestamp_s=1),
        CommandMessage(CodecId.CODEC_13, 6, b""),
        CommandMessage(CodecId.CODEC_14, 5, b""),
        CommandMessage(CodecId.CODEC_15, 11, b"", imei=wire.IMEI),
        CommandMessage(CodecId.CODEC_12, 256, b""),
        CommandMessage(CodecId.CODEC_13, 6, b"", timestamp_s=2**32),
        CommandMessage(CodecId.CODEC_14, 5, b"", imei="12"),
    ],
)
def test_a_command_with_parts_of_another_codec_is_refused(message):
    with pytest.raises(EncodeError):
        encode_command(message)


@pytest.mark.parametrize("imei", ["", "35630704244101", "3563070424410130", "35630704244101x", "³" * 15])
def test_an_imei_has_exactly_fifteen_digits(imei):
    with pytest.raises(EncodeError, match="15 digits"):
        encode_login(imei)
    with pytest.raises(EncodeError, match="15 digits"):
        wrap_udp(b"", packet_id=0, avl_packet_id=0, imei=imei)


def test_datagrams_and_their_answers_refuse_what_does_not_fit():
    with pytest.raises(EncodeError, match="header"):
        wrap_udp(b"", packet_id=65_536, avl_packet_id=0, imei=wire.IMEI)
    with pytest.raises(EncodeError, match="header"):
        wrap_udp(bytes(65_536), packet_id=0, avl_packet_id=0, imei=wire.IMEI)
    with pytest.raises(EncodeError):
        encode_udp_acknowledgement(0, 256, 1)
    for count in (-1, 256):
        with pytest.raises(EncodeError):
            encode_udp_acknowledgement(0, 0, count)
        with pytest.raises(EncodeError):
            encode_tcp_acknowledgement(count)


def test_a_command_is_ascii():
    with pytest.raises(EncodeError, match="ASCII"):
        encode_command_frame("getvér")


def test_the_tcp_envelope_is_twelve_bytes():
    assert wrap_tcp(b"\x08\x00\x00") == wire.tcp(b"\x08\x00\x00")
