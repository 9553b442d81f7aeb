import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codec8.datagrams import Datagram, DatagramRejected, Envelope, check_datagram
from ingest.codec8.decoding import decode_udp_datagram
from ingest.codec8.errors import DecodeError, Reason
from ingest.codec8.records import CodecId
from tests.ingest.codec8 import wire

GOOD = wire.udp(wire.avl_data("8E", wire.RECORD_8E))
ENVELOPE = Envelope(0xCAFE, 5, wire.IMEI, 1)


def test_a_datagram_tells_whom_to_answer_and_where_its_data_stands():
    checked = check_datagram(GOOD)
    assert checked == Datagram(ENVELOPE, CodecId.CODEC_8_EXTENDED)
    assert GOOD[checked.data] == wire.avl_data("8E", wire.RECORD_8E)


def test_the_vendors_example_passes():
    assert check_datagram(wire.VENDOR_UDP) == Datagram(
        Envelope(0xCAFE, 5, "352093086403655", 1), CodecId.CODEC_8
    )


def test_quantities_of_commands_may_differ():
    data = wire.command_data("0C", "06", b"OK", tail=b"\x00")
    assert check_datagram(wire.udp(data)) == Datagram(ENVELOPE, CodecId.CODEC_12)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", Reason.TRUNCATED),
        (b"\x00", Reason.TRUNCATED),
        (GOOD[:-1], Reason.TRUNCATED),
        (bytes(2), Reason.BAD_LENGTH),
        (wire.udp(b"\x08\x00\x00", mark=2), Reason.BAD_PREAMBLE),
        (wire.udp(b"\x08\x00"), Reason.BAD_LENGTH),
        (wire.udp(b"\x08\x00\x00", imei="35630704244101X"), Reason.BAD_IMEI),
        (wire.udp(b"\x08\x00\x00", imei_length=14), Reason.BAD_IMEI),
    ],
)
def test_what_tells_nobody_to_answer(datagram, reason):
    outcome = check_datagram(datagram)
    assert isinstance(outcome, DatagramRejected)
    assert (outcome.reason, outcome.envelope) == (reason, None)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (GOOD + b"\x00", Reason.TRAILING_BYTES),
        (wire.udp(wire.avl_data("99", wire.RECORD_8)), Reason.UNKNOWN_CODEC),
        (wire.udp(wire.avl_data("08", wire.RECORD_8, second=2)), Reason.COUNT_MISMATCH),
    ],
)
def test_what_nobody_can_decode_still_tells_whom_to_answer(datagram, reason):
    assert check_datagram(datagram) == DatagramRejected(reason, check_datagram(datagram).detail, ENVELOPE)


def test_the_limit_of_memory_holds():
    assert check_datagram(GOOD, max_data_length=40).reason is Reason.BAD_LENGTH


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, 3))
def test_whatever_decodes_passes_the_check_first(at, byte, cut):
    datagram = GOOD[:at] + bytes([byte]) + GOOD[at + 1 : len(GOOD) - cut]
    checked = check_datagram(datagram)
    try:
        decoded = decode_udp_datagram(datagram)
    except DecodeError:
        return
    assert isinstance(checked, Datagram)
    assert (checked.envelope.imei, checked.codec) == (decoded.imei, decoded.content.codec)
