import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codec8 import frames
from ingest.codec8.errors import FrameError, Reason
from ingest.codec8.frames import (
    NEED_MORE,
    Frame,
    FramingLost,
    Rejected,
    crc16,
    delimit_frame,
    delimit_login,
    open_frame,
    whole_avl_frame,
)
from ingest.codec8.records import AVL_CODECS, CodecId
from tests.ingest.codec8 import wire


def test_checksum_has_the_catalogue_check_value():
    assert crc16(b"123456789") == 0xBB3D


@given(st.binary(max_size=300))
def test_checksum_equals_the_bit_by_bit_definition(data):
    assert crc16(data) == wire.crc_by_bits(data)


@pytest.mark.parametrize(
    ("frame", "codec", "count"),
    [
        (wire.VENDOR_CODEC_8, CodecId.CODEC_8, 1),
        (wire.VENDOR_CODEC_8_TWO_RECORDS, CodecId.CODEC_8, 2),
        (wire.VENDOR_CODEC_8E, CodecId.CODEC_8_EXTENDED, 1),
        (wire.VENDOR_CODEC_16, CodecId.CODEC_16, 2),
        (wire.VENDOR_CODEC_12, CodecId.CODEC_12, 1),
        (wire.VENDOR_CODEC_14, CodecId.CODEC_14, 1),
        (wire.VENDOR_CODEC_15, CodecId.CODEC_15, 1),
    ],
)
def test_a_frame_is_delimited_whole_byte_by_byte_and_before_a_tail(frame, codec, count):
    expected = Frame(frame, codec, count)
    assert delimit_frame(frame) == expected
    assert delimit_frame(frame + b"\x00\x00\x00\x00\x00tail") == expected
    for length in range(len(frame)):
        assert delimit_frame(frame[:length]) is NEED_MORE


@pytest.mark.parametrize("length", range(1, 5))
def test_a_wrong_preamble_is_told_at_its_first_wrong_byte(length):
    outcome = delimit_frame(bytes(length - 1) + b"\x01")
    assert isinstance(outcome, FramingLost)
    assert outcome.reason is Reason.BAD_PREAMBLE


@pytest.mark.parametrize("length", [0, 1, 2, frames.MAX_DATA_LENGTH + 1, 2**32 - 1])
def test_an_impossible_length_loses_the_framing_before_the_data_comes(length):
    outcome = delimit_frame(bytes(4) + length.to_bytes(4, "big"))
    assert isinstance(outcome, FramingLost)
    assert outcome.reason is Reason.BAD_LENGTH


def test_the_longest_frame_passes_and_one_byte_more_does_not():
    limit = frames.MAX_DATA_LENGTH
    longest = wire.tcp(b"\x0c\x01\x05" + bytes(limit - 3))
    assert isinstance(delimit_frame(longest), Frame)
    assert isinstance(delimit_frame(wire.tcp(bytes(limit + 1))), FramingLost)


@pytest.mark.parametrize("flipped", range(16))
def test_one_flipped_bit_in_the_checksum_rejects_the_frame(flipped):
    good = wire.VENDOR_CODEC_8
    bad = good[:-2] + (int.from_bytes(good[-2:], "big") ^ 1 << flipped).to_bytes(2, "big")
    outcome = delimit_frame(bad + b"next")
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.wire) == (Reason.BAD_CRC, bad)


def test_high_bits_of_the_checksum_field_must_be_zero():
    bad = bytearray(wire.VENDOR_CODEC_8)
    bad[-4] = 1
    outcome = delimit_frame(bad)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.BAD_CRC
    with pytest.raises(FrameError) as error:
        open_frame(bytes(bad))
    assert error.value.reason is Reason.BAD_CRC


def test_a_frame_of_an_unknown_codec_is_skipped_by_its_length():
    frame = wire.tcp(b"\x07\x01junk\x01")
    outcome = delimit_frame(frame + wire.VENDOR_CODEC_8)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.wire) == (Reason.UNKNOWN_CODEC, frame)


def test_different_counts_reject_an_avl_frame_but_not_a_command():
    outcome = delimit_frame(wire.tcp(wire.avl_data("08", wire.RECORD_8, second=2)))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.COUNT_MISMATCH
    empty_ping = wire.tcp(bytes.fromhex("0C00050000000001"))
    assert isinstance(delimit_frame(empty_ping), Frame)


def test_a_login_is_delimited_whole_byte_by_byte_and_before_a_tail():
    assert delimit_login(wire.LOGIN) == wire.IMEI
    assert delimit_login(wire.LOGIN + b"\x00\x00") == wire.IMEI
    for length in range(len(wire.LOGIN)):
        assert delimit_login(wire.LOGIN[:length]) is NEED_MORE


@pytest.mark.parametrize(
    "stream", [b"G", b"GET / HTTP/1.1", bytes(8), b"\x00\x10", b"\x00\x0e", b"\x00\x0f35x", b"\x00\x0f35\xb2"]
)
def test_anything_but_a_login_of_fifteen_digits_loses_the_framing(stream):
    outcome = delimit_login(stream)
    assert isinstance(outcome, FramingLost)
    assert outcome.reason is Reason.BAD_IMEI


def test_details_hold_no_payload():
    outcome = delimit_frame(wire.tcp(b"\x08" + b"SECRET" + b"\x08", crc=0))
    assert isinstance(outcome, Rejected)
    assert "SECRET" not in outcome.detail


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([wire.VENDOR_CODEC_8, wire.VENDOR_CODEC_8E, wire.VENDOR_CODEC_16, wire.VENDOR_CODEC_12]),
    st.integers(0, 200),
    st.integers(0, 255),
    st.integers(-3, 3),
)
def test_the_shortcut_for_a_whole_frame_never_says_anything_else_than_the_long_way(frame, at, byte, cut):
    at %= len(frame)
    changed = frame[:at] + bytes([byte]) + frame[at + 1 :]
    changed = changed[:cut] if cut < 0 else changed + bytes(cut)
    for received in (frame, changed):
        whole = whole_avl_frame(received, 200)
        outcome = delimit_frame(received, 200)
        is_one = isinstance(outcome, Frame) and outcome.codec in AVL_CODECS and outcome.wire == received
        assert whole == ((outcome.codec, outcome.record_count) if is_one else None)


@pytest.mark.parametrize("received", [b"", bytes(11), bytes(14), wire.VENDOR_CODEC_8 * 2])
def test_the_shortcut_leaves_everything_else_to_the_long_way(received):
    assert whole_avl_frame(received) is None
    assert whole_avl_frame(wire.VENDOR_CODEC_8, 10) is None
