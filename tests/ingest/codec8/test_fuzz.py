"""Whatever comes in, nothing but the documented outcomes comes out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codec8.connection import (
    CommandReceived,
    ConnectionState,
    DeviceConnection,
    FrameReceived,
    FrameRejected,
)
from ingest.codec8.decoding import decode_data, decode_tcp_frame, decode_tcp_message, decode_udp_datagram
from ingest.codec8.errors import DecodeError, Reason
from ingest.codec8.frames import FramingLost
from ingest.codec8.records import AvlPacket, CommandMessage, Login, Ping, UdpDatagram
from ingest.codec8.session import DeviceSession
from tests.ingest.codec8 import wire

GOOD = [
    wire.VENDOR_CODEC_8,
    wire.VENDOR_CODEC_8_TWO_RECORDS,
    wire.VENDOR_CODEC_8E,
    wire.VENDOR_CODEC_16,
    wire.VENDOR_CODEC_12,
    wire.VENDOR_CODEC_14,
    wire.VENDOR_CODEC_15,
    wire.VENDOR_UDP,
    wire.LOGIN,
    wire.tcp(wire.avl_data("8E", wire.RECORD_8E)),
]


@st.composite
def damaged(draw):
    """A good message with bytes changed, cut, doubled or put in."""
    message = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(message) - 1)))
        match draw(st.sampled_from(["set", "cut", "insert", "double"])):
            case "set" if message:
                message[at] = draw(st.integers(0, 255))
            case "cut":
                del message[at : at + draw(st.integers(1, 9))]
            case "insert":
                message[at:at] = draw(st.binary(max_size=5))
            case "double":
                message += message[at:]
    return bytes(message)


@st.composite
def sealed(draw):
    """Any bytes, or a damaged data field, inside a faultless TCP envelope: the walk has to cope alone."""
    data = draw(damaged())[8:-4] if draw(st.booleans()) else draw(st.binary(max_size=120))
    codec = draw(st.sampled_from([b"", b"\x08", b"\x8e", b"\x10", b"\x0c", b"\x0d", b"\x0e", b"\x0f"]))
    return wire.tcp(codec + data)


anything = st.binary(max_size=200) | damaged() | sealed()


@settings(max_examples=500, deadline=None)
@given(anything)
def test_a_message_decodes_or_is_refused_for_a_documented_reason(message):
    for decode, kinds in (
        (decode_tcp_message, (Ping, Login, AvlPacket, CommandMessage)),
        (decode_tcp_frame, (AvlPacket, CommandMessage)),
        (decode_udp_datagram, (UdpDatagram,)),
        (decode_data, (AvlPacket, CommandMessage)),
    ):
        refusal = decoded = None
        try:
            decoded = decode(message)
        except DecodeError as error:
            refusal = error
        assert isinstance(decoded, kinds) or (refusal and refusal.reason in Reason)
        assert refusal is None or (refusal.detail and 0 <= refusal.offset <= len(message))


@settings(max_examples=300, deadline=None)
@given(st.lists(anything, max_size=4), st.booleans())
def test_a_connection_reports_documented_events_and_stays_bounded(chunks, is_logged_in):
    connection = DeviceConnection(max_data_length=4_096)
    if is_logged_in:
        connection.feed(wire.LOGIN)
        connection.accept_login()
    consumed = 0
    for chunk in chunks:
        for event in connection.feed(chunk):
            if isinstance(event, FramingLost):
                assert connection.state is ConnectionState.CLOSED
            elif isinstance(event, FrameReceived | CommandReceived):
                consumed += len(event.frame)
            elif isinstance(event, FrameRejected):
                consumed += event.consumed
    assert consumed <= sum(map(len, chunks))
    assert len(connection.hang_up()) <= 1


@settings(max_examples=300, deadline=None)
@given(sealed())
def test_what_the_decoder_accepts_the_gateway_passes_on(frame):
    try:
        content = decode_tcp_frame(frame)
    except DecodeError:
        return
    connection = DeviceConnection()
    connection.feed(wire.LOGIN)
    connection.accept_login()
    (event,) = connection.feed(frame)
    expected = FrameReceived if isinstance(content, AvlPacket) else CommandReceived
    assert isinstance(event, expected)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=20) | damaged(), max_size=4), st.booleans())
def test_a_device_survives_any_server(chunks, is_waiting):
    session = DeviceSession(wire.IMEI)
    session.login()
    if is_waiting:
        session.feed(b"\x01")
        session.send(wire.VENDOR_CODEC_8, 1)
    for chunk in chunks:
        session.feed(chunk)
