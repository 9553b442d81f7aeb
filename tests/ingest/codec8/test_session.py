import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codec8.connection import DeviceConnection, FrameReceived, LoginRequested
from ingest.codec8.encoding import encode_command_frame, encode_tcp_frame
from ingest.codec8.errors import ConnectionMisuseError, EncodeError
from ingest.codec8.session import (
    Acknowledged,
    CommandRequested,
    DeviceSession,
    LoginAccepted,
    LoginRefused,
    ProtocolViolation,
    SessionState,
)
from tests.ingest.codec8 import wire
from tests.ingest.codec8.strategies import any_packet

GOOD = wire.VENDOR_CODEC_8


def logged_in():
    session = DeviceSession(wire.IMEI)
    assert session.login() == wire.LOGIN
    assert session.feed(b"\x01") == [LoginAccepted()]
    return session


def test_one_packet_is_in_flight_until_its_acknowledgement_is_whole():
    session = logged_in()
    assert session.send(GOOD, 1) == GOOD
    with pytest.raises(ConnectionMisuseError, match="send does not follow on awaiting_acknowledgement"):
        session.send(GOOD, 1)
    assert session.feed(b"\x00\x00\x00") == []
    (event,) = session.feed(b"\x01")
    assert event == Acknowledged(1, 1)
    assert event.is_complete
    assert session.send(GOOD, 1) == GOOD


def test_another_count_is_told_as_it_is():
    session = logged_in()
    session.send(GOOD, 21)
    (event,) = session.feed(b"\x01\x00\x00\x00")
    assert event == Acknowledged(16_777_216, 21)
    assert not event.is_complete


def test_a_refused_device_does_nothing_more():
    session = DeviceSession(wire.IMEI)
    session.login()
    assert session.feed(b"\x00\x01") == [LoginRefused()]
    assert session.state is SessionState.CLOSED
    assert session.feed(b"\x01") == []
    with pytest.raises(ConnectionMisuseError):
        session.send(GOOD, 1)


def test_any_other_answer_to_a_login_is_a_violation():
    session = DeviceSession(wire.IMEI)
    session.login()
    (event,) = session.feed(b"H")
    assert isinstance(event, ProtocolViolation)
    assert session.state is SessionState.CLOSED


def test_a_server_that_speaks_first_violates_the_protocol():
    (event,) = DeviceSession(wire.IMEI).feed(b"\x01")
    assert isinstance(event, ProtocolViolation)


def test_commands_come_between_packets_in_any_split():
    frame = encode_command_frame("getver")
    session = logged_in()
    for number in range(len(frame) - 1):
        assert session.feed(frame[number : number + 1]) == []
    assert session.feed(frame[-1:]) == [CommandRequested(frame)]
    session.send(GOOD, 1)
    assert session.feed(b"\x00\x00\x00\x01" + frame) == [Acknowledged(1, 1), CommandRequested(frame)]


def test_a_command_that_crosses_a_packet_is_not_taken_for_its_acknowledgement():
    frame = encode_command_frame("getver")
    session = logged_in()
    session.send(GOOD, 1)
    assert session.feed(frame[:5]) == []
    assert session.feed(frame[5:]) == [CommandRequested(frame)]
    assert session.state is SessionState.AWAITING_ACKNOWLEDGEMENT
    assert session.feed(frame + b"\x00\x00\x00\x01") == [CommandRequested(frame), Acknowledged(1, 1)]


def test_a_packet_without_records_is_acknowledged_with_zero():
    session = logged_in()
    session.send(GOOD, 0)
    assert session.feed(bytes(4)) == [Acknowledged(0, 0)]


@pytest.mark.parametrize("stray", [b"\x00\x00\x00\x00\x00\x00\x00\x01", b"\x01", GOOD, wire.tcp(GOOD, crc=0)])
def test_anything_else_between_packets_is_a_violation(stray):
    (event,) = logged_in().feed(stray)
    assert isinstance(event, ProtocolViolation)


def test_login_happens_once_and_with_a_real_imei():
    with pytest.raises(ConnectionMisuseError):
        logged_in().login()
    with pytest.raises(EncodeError):
        DeviceSession("no imei")


@settings(max_examples=40, deadline=None)
@given(st.lists(any_packet, max_size=4))
def test_the_two_sides_understand_each_other(packets):
    device, server = DeviceSession(wire.IMEI), DeviceConnection()
    assert server.feed(device.login()) == [LoginRequested(wire.IMEI)]
    assert device.feed(server.accept_login()) == [LoginAccepted()]
    for packet in packets:
        frame, count = encode_tcp_frame(packet), len(packet.records)
        assert server.feed(device.send(frame, count)) == [FrameReceived(frame, packet.codec, count)]
        (event,) = device.feed(server.acknowledge(count))
        assert event == Acknowledged(count, count)
