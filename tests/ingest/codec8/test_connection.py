import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codec8.connection import (
    CommandReceived,
    ConnectionState,
    DeviceConnection,
    FrameReceived,
    FrameRejected,
    LoginRequested,
)
from ingest.codec8.errors import ConnectionMisuseError, EncodeError, Reason
from ingest.codec8.frames import FRAME_OVERHEAD, FramingLost
from ingest.codec8.records import CodecId, Ping
from tests.ingest.codec8 import wire

GOOD = wire.VENDOR_CODEC_8
COMMAND = wire.VENDOR_CODEC_12
BAD_CRC = wire.tcp(wire.avl_data("08", wire.RECORD_8), crc=1)
BAD_COUNT = wire.tcp(wire.avl_data("08", wire.RECORD_8, second=2))
UNKNOWN = wire.tcp(b"\x07\x01\x02")


def open_connection(**options):
    connection = DeviceConnection(**options)
    assert connection.feed(wire.LOGIN) == [LoginRequested(wire.IMEI)]
    assert connection.accept_login() == b"\x01"
    return connection


def without_pings(events):
    return [event for event in events if not isinstance(event, Ping)]


def test_login_then_frames_then_acknowledgements():
    connection = open_connection()
    assert connection.imei == wire.IMEI
    assert connection.feed(GOOD) == [FrameReceived(GOOD, CodecId.CODEC_8, 1)]
    assert connection.acknowledge(1) == b"\x00\x00\x00\x01"
    assert connection.feed(wire.VENDOR_CODEC_16) == [FrameReceived(wire.VENDOR_CODEC_16, CodecId.CODEC_16, 2)]
    assert connection.acknowledge(2) == b"\x00\x00\x00\x02"


def test_a_refused_device_gets_a_zero_and_is_not_listened_to():
    connection = DeviceConnection()
    connection.feed(wire.LOGIN + GOOD)
    assert connection.refuse_login() == b"\x00"
    assert connection.state is ConnectionState.CLOSED
    assert connection.feed(GOOD) == []


def test_frames_glued_to_the_login_wait_for_the_verdict():
    connection = DeviceConnection()
    assert connection.feed(wire.LOGIN + GOOD + GOOD) == [LoginRequested(wire.IMEI)]
    assert connection.feed(b"") == []
    connection.accept_login()
    assert connection.feed(b"") == [FrameReceived(GOOD, CodecId.CODEC_8, 1)] * 2


def test_pings_are_taken_anywhere_between_messages():
    connection = DeviceConnection()
    assert connection.feed(b"\xff\xff" + wire.LOGIN + b"\xff") == [Ping(2), LoginRequested(wire.IMEI)]
    connection.accept_login()
    events = connection.feed(GOOD + b"\xff" + COMMAND + b"\xff\xff" + GOOD[:20])
    assert events == [
        Ping(1),
        FrameReceived(GOOD, CodecId.CODEC_8, 1),
        Ping(1),
        CommandReceived(COMMAND, CodecId.CODEC_12),
        Ping(2),
    ]
    assert connection.feed(GOOD[20:]) == [FrameReceived(GOOD, CodecId.CODEC_8, 1)]


def test_a_flood_of_pings_is_one_event():
    assert open_connection().feed(b"\xff" * 65_536) == [Ping(65_536)]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (BAD_CRC, Reason.BAD_CRC),
        (BAD_COUNT, Reason.COUNT_MISMATCH),
        (UNKNOWN, Reason.UNKNOWN_CODEC),
    ],
)
def test_a_delimited_bad_frame_is_rejected_and_the_connection_goes_on(frame, reason):
    connection = open_connection()
    rejected, received = connection.feed(frame + GOOD)
    assert isinstance(rejected, FrameRejected)
    assert (rejected.reason, rejected.consumed, rejected.frame) == (reason, len(frame), frame)
    assert rejected.detail
    assert received == FrameReceived(GOOD, CodecId.CODEC_8, 1)
    assert connection.state is ConnectionState.OPEN


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", Reason.BAD_PREAMBLE),
        (b"\x00\x00\x00\x01", Reason.BAD_PREAMBLE),
        (wire.LOGIN, Reason.BAD_PREAMBLE),
        (bytes(8), Reason.BAD_LENGTH),
        (bytes(4) + b"\x00\x01\x00\x01", Reason.BAD_LENGTH),
    ],
)
def test_lost_framing_ends_the_connection(stream, reason):
    connection = open_connection()
    (event,) = connection.feed(stream + GOOD)
    assert isinstance(event, FramingLost)
    assert event.reason is reason
    assert connection.state is ConnectionState.CLOSED
    assert connection.feed(GOOD) == []
    with pytest.raises(ConnectionMisuseError):
        connection.acknowledge(1)


@pytest.mark.parametrize("stream", [GOOD, b"\x16\x03\x01\x02", b"\x00\x0f3563070424410x3", bytes(64)])
def test_a_peer_that_does_not_log_in_is_lost(stream):
    connection = DeviceConnection()
    (event,) = connection.feed(stream)
    assert isinstance(event, FramingLost)
    assert event.reason is Reason.BAD_IMEI
    assert connection.imei is None


def test_the_limit_of_the_data_field_is_the_callers():
    frame = wire.tcp(wire.avl_data("08", wire.RECORD_8))
    length = len(frame) - FRAME_OVERHEAD
    assert len(open_connection(max_data_length=length).feed(frame)) == 1
    (event,) = open_connection(max_data_length=length - 1).feed(frame)
    assert isinstance(event, FramingLost)
    assert event.reason is Reason.BAD_LENGTH


def test_what_waits_for_the_verdict_is_bounded():
    connection = DeviceConnection(max_data_length=100)
    connection.feed(wire.LOGIN)
    assert connection.feed(bytes(112)) == []
    (event,) = connection.feed(b"\x00")
    assert isinstance(event, FramingLost)
    assert event.reason is Reason.BAD_LENGTH


def test_a_peer_that_hangs_up_in_the_middle_leaves_a_truncated_frame():
    connection = open_connection()
    connection.feed(GOOD[:30])
    (event,) = connection.hang_up()
    assert isinstance(event, FramingLost)
    assert event.reason is Reason.TRUNCATED
    assert connection.hang_up() == []


def test_pending_bytes_are_those_of_an_unfinished_message():
    connection = open_connection()
    assert connection.pending_bytes == 0
    connection.feed(GOOD + GOOD[:30])
    assert connection.pending_bytes == 30
    connection.feed(GOOD[30:])
    assert connection.pending_bytes == 0


@pytest.mark.parametrize("received", [b"", wire.LOGIN])
def test_a_peer_that_hangs_up_between_messages_leaves_nothing(received):
    connection = DeviceConnection()
    connection.feed(received)
    assert connection.hang_up() == []
    assert connection.state is ConnectionState.CLOSED


def test_answers_out_of_turn_are_our_own_bug():
    fresh = DeviceConnection()
    for answer in (fresh.accept_login, fresh.refuse_login, lambda: fresh.acknowledge(1)):
        with pytest.raises(ConnectionMisuseError, match="does not follow on awaiting_login"):
            answer()
    connection = open_connection()
    with pytest.raises(ConnectionMisuseError, match="accepted does not follow on open"):
        connection.accept_login()
    with pytest.raises(EncodeError):
        connection.acknowledge(256)


MESSAGES = [GOOD, wire.VENDOR_CODEC_8E, wire.VENDOR_CODEC_16, COMMAND, BAD_CRC, BAD_COUNT, UNKNOWN, b"\xff"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.data())
def test_events_do_not_depend_on_how_the_stream_was_split(messages, data):
    stream = b"".join(messages)
    whole = without_pings(open_connection().feed(stream))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    split = open_connection()
    assert without_pings([event for piece in pieces for event in split.feed(piece)]) == whole


def test_every_single_split_and_byte_by_byte_give_the_same_events():
    stream = b"\xff" + wire.LOGIN
    expected = [LoginRequested(wire.IMEI), *[FrameReceived(GOOD, CodecId.CODEC_8, 1)] * 2]
    rest = GOOD + b"\xff" + GOOD
    for cut in range(len(stream) + 1):
        connection = DeviceConnection()
        events = connection.feed(stream[:cut]) + connection.feed(stream[cut:])
        connection.accept_login()
        for number in range(len(rest)):
            events += connection.feed(rest[number : number + 1])
        assert without_pings(events) == expected
