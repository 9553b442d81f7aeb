"""Each bad message has one fault, or two of which the first in the order of `Reason` is told."""

import pytest

from ingest.codec8.decoding import decode_tcp_message, decode_udp_datagram
from ingest.codec8.errors import DecodeError, Reason
from ingest.codec8.frames import MAX_DATA_LENGTH
from tests.ingest.codec8 import wire

GOOD = wire.avl_data("08", wire.RECORD_8)
#                       total says 5, groups hold 4
BAD_TOTAL = wire.RECORD_8[:50] + "05" + wire.RECORD_8[52:]
#                    the group of one-byte elements says 200
OVERRUN = wire.RECORD_8[:52] + "C8" + wire.RECORD_8[54:]
WRONG_CRC = {"crc": 0x1234}


def reason_of(decode, message):
    with pytest.raises(DecodeError) as error:
        decode(message)
    assert isinstance(error.value.reason, Reason)
    return error.value.reason.value


TCP_CASES = {
    "truncated": [
        b"",
        b"\x00",
        bytes(11),
        wire.tcp(GOOD)[:-1],
        wire.tcp(GOOD, preamble=1)[:-1],
        wire.tcp(GOOD, length=len(GOOD) + 1, **WRONG_CRC),
        wire.tcp(GOOD, length=MAX_DATA_LENGTH + 1),
        wire.tcp(b"\x07\x01\x02", length=9),
        wire.LOGIN[:-1],
        b"\x00\x0f",
        b"\x00\x0fnotdigits",
        b"\xff\xff" + wire.tcp(GOOD)[:30],
    ],
    "bad_preamble": [
        wire.tcp(GOOD, preamble=0x01000000),
        wire.tcp(GOOD, preamble=1, **WRONG_CRC),
        wire.tcp(GOOD, preamble=1, length=1),
        wire.tcp(b"\x07\x01\x02", preamble=0x80),
        wire.tcp(GOOD, preamble=0x00000F00) + b"tail",
    ],
    "bad_length": [
        wire.tcp(b""),
        wire.tcp(b"\x08"),
        wire.tcp(b"\x08\x00", crc=0),
        wire.tcp(bytes(MAX_DATA_LENGTH + 1)),
        wire.tcp(GOOD, length=len(GOOD) - 1),
        wire.tcp(GOOD, **WRONG_CRC) + b"tail",
        wire.tcp(wire.command_data("0C", "05", b"getver", size=7)),
        wire.tcp(wire.command_data("0C", "05", b"getver", size=2**32 - 1)),
        wire.tcp(b"\x0c\x01\x05"),
        wire.tcp(b"\x0d\x01\x06\x00\x00\x00\x00"),
        wire.tcp(wire.command_data("0D", "06", b"\x00\x00\x00")),
        wire.tcp(wire.command_data("0E", "06", bytes(7))),
        wire.tcp(wire.command_data("0F", "0B", bytes(11))),
        wire.tcp(wire.command_data("0F", "0B", bytes(11), tail=b"\x01\x01")),
    ],
    "bad_crc": [
        wire.tcp(GOOD, **WRONG_CRC),
        wire.tcp(GOOD, crc=wire.crc_by_bits(GOOD) | 1 << 16),
        wire.tcp(b"\x07\x01\x02", **WRONG_CRC),
        wire.tcp(wire.avl_data("08", BAD_TOTAL, second=3), **WRONG_CRC),
        wire.tcp(wire.command_data("0C", "05", b"getver", size=99), **WRONG_CRC),
    ],
    "unknown_codec": [
        wire.tcp(b"\x07\x01\x02"),
        wire.tcp(b"\x00\x01\x02"),
        wire.tcp(b"\x07\x01\x02") + b"tail",
    ],
    "count_mismatch": [
        wire.tcp(wire.avl_data("08", wire.RECORD_8, second=2)),
        wire.tcp(wire.avl_data("08", wire.RECORD_8, first=2)),
        wire.tcp(wire.avl_data("08", wire.RECORD_8, wire.RECORD_8, first=1)),
        wire.tcp(wire.avl_data("08", BAD_TOTAL, second=2)),
        wire.tcp(wire.avl_data("08", OVERRUN, second=2)),
        wire.tcp(wire.avl_data("08", wire.RECORD_8, first=0)),
        wire.tcp(wire.avl_data("08", wire.RECORD_8, second=2)) + b"tail",
        wire.tcp(wire.avl_data("8E", wire.RECORD_8E, second=2)),
        wire.tcp(wire.avl_data("10", wire.RECORD_16, second=2)),
    ],
    "io_mismatch": [
        wire.tcp(wire.avl_data("08", BAD_TOTAL)),
        wire.tcp(wire.avl_data("08", OVERRUN)),
        wire.tcp(wire.avl_data("08", wire.RECORD_8, BAD_TOTAL)),
        wire.tcp(wire.avl_data("08", BAD_TOTAL, OVERRUN)),
        wire.tcp(wire.avl_data("08", wire.RECORD_8[:-2])),
        wire.tcp(wire.avl_data("8E", wire.RECORD_8E[:-2])),
        wire.tcp(wire.avl_data("10", wire.RECORD_16[:-20])),
        wire.tcp(wire.avl_data("08", wire.RECORD_8, first=2, second=2)),
        wire.tcp(wire.avl_data("08", BAD_TOTAL) + b"\x00\x01"),
        wire.tcp(wire.avl_data("08", BAD_TOTAL)) + b"tail",
        # the record takes the byte of number of data 2, which happens to be right
        wire.tcp(bytes.fromhex("0801" + wire.RECORD_8[:-2] + "01")),
    ],
    "trailing_bytes": [
        wire.tcp(GOOD) + b"\x00",
        wire.tcp(GOOD) + wire.tcp(GOOD),
        wire.tcp(GOOD) + b"\xff",
        wire.tcp(GOOD + b"\x01"),
        wire.tcp(GOOD + b"\x00"),
        wire.tcp(GOOD + b"junk\x01"),
        wire.tcp(GOOD + b"junk\x01") + b"tail",
        wire.tcp(wire.avl_data("08", wire.RECORD_8, wire.RECORD_8, first=1, second=1)),
        wire.tcp(wire.avl_data("08", wire.RECORD_8, first=0, second=0)),
        wire.tcp(b"\x08\x00\x00\x00"),
        wire.tcp(wire.command_data("0C", "05", b"getver", size=5)),
        wire.tcp(wire.command_data("0C", "05", b"getver", tail=b"\x01\x01")),
        wire.tcp(wire.command_data("0E", "06", b"\xff" * 8, tail=b"\x01\x01")),
        wire.tcp(wire.command_data("0C", "05", b"getver")) + b"\x00",
        wire.LOGIN + b"\x00",
        b"\x00\x0f" + b"x" * 16,
        wire.LOGIN + wire.tcp(GOOD),
    ],
    "bad_imei": [
        b"\x00\x0f" + b"35630704244101x",
        b"\x00\x0f" + b"\xb2" * 15,
        b"\x00\x0f" + bytes(15),
        b"\x00\x0e" + b"35630704244101",
        b"\x00\x10" + b"3563070424410130",
        b"\x00\x01A",
        b"\x00\x20" + b"A" * 32,
        wire.tcp(wire.command_data("0E", "06", bytes.fromhex("1352093081452251"))),
        wire.tcp(wire.command_data("0E", "06", bytes.fromhex("035209308145225A"))),
    ],
}


@pytest.mark.parametrize(
    ("expected", "message"), [(name, case) for name, cases in TCP_CASES.items() for case in cases]
)
def test_tcp_message_is_refused_for_its_first_fault(expected, message):
    assert reason_of(decode_tcp_message, message) == expected


def test_every_reason_has_a_tcp_case():
    assert list(TCP_CASES) == [reason.value for reason in Reason]


UNKNOWN = b"\x07\x01\x02"
UDP_CASES = {
    "truncated": [
        b"",
        b"\x00",
        wire.udp(GOOD)[:-1],
        wire.udp(GOOD, mark=2)[:-1],
        wire.udp(GOOD, length=0xFFFF),
        wire.tcp(GOOD)[8:],
    ],
    "bad_preamble": [
        wire.udp(GOOD, mark=0),
        wire.udp(GOOD, mark=2) + b"tail",
        wire.udp(UNKNOWN, mark=2, imei="x" * 15),
        wire.udp(GOOD, length=0, mark=9),
    ],
    "bad_length": [
        b"\x00\x00",
        b"\x00\x03\xca\xfe\x01",
        wire.udp(b"\x08\x00"),
        wire.udp(GOOD, length=0),
        wire.udp(GOOD, length=len(wire.udp(GOOD)) - 3),
        wire.udp(UNKNOWN) + b"tail",
        wire.udp(wire.command_data("0C", "05", b"getver", size=7)),
    ],
    "unknown_codec": [
        wire.udp(UNKNOWN),
        wire.udp(UNKNOWN, imei="x" * 15),
        wire.udp(UNKNOWN, imei_length=0xFFFF),
        wire.udp(UNKNOWN, imei_length=14),
    ],
    "count_mismatch": [
        wire.udp(wire.avl_data("08", wire.RECORD_8, second=2)),
        wire.udp(wire.avl_data("08", BAD_TOTAL, second=2), imei="x" * 15),
    ],
    "io_mismatch": [
        wire.udp(wire.avl_data("08", BAD_TOTAL)),
        wire.udp(wire.avl_data("08", OVERRUN), imei="x" * 15),
    ],
    "trailing_bytes": [
        wire.udp(GOOD) + b"\x00",
        wire.udp(GOOD + b"\x01"),
        wire.udp(GOOD + b"\x01", imei="x" * 15),
        wire.udp(GOOD, imei="x" * 15) + b"tail",
    ],
    "bad_imei": [
        wire.udp(GOOD, imei="x" * 15),
        wire.udp(GOOD, imei="35630704244101"),
        wire.udp(GOOD, imei="3563070424410130"),
        wire.udp(GOOD, imei=""),
        wire.udp(GOOD, imei_length=14),
        wire.udp(GOOD, imei_length=0),
        wire.udp(GOOD, imei_length=0xFFFF),
    ],
}


@pytest.mark.parametrize(
    ("expected", "datagram"), [(name, case) for name, cases in UDP_CASES.items() for case in cases]
)
def test_udp_datagram_is_refused_for_its_first_fault(expected, datagram):
    assert reason_of(decode_udp_datagram, datagram) == expected


def test_every_reason_but_the_checksum_has_a_udp_case():
    assert set(UDP_CASES) == {reason.value for reason in Reason} - {"bad_crc"}
