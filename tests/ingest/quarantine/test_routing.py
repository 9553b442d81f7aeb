"""Where a frame out of quarantine goes."""

import json

import pytest

from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import CodecId, CommandMessage, CommandType
from ingest.quarantine.routing import Content, route
from ingest.stream.messages import FrameMessage, Transport
from telematics.names import Topic
from tests.ingest.codec8 import wire
from tests.ingest.making import NOON_MS, make_frame, make_record

IMEI = "001000000000017"
HEADERS = [("received_at", b"%d" % NOON_MS), ("transport", b"tcp")]


def frame(value: bytes, transport: Transport = Transport.TCP, imei: str = IMEI) -> FrameMessage:
    return FrameMessage(Topic.QUARANTINE, 3, 7, imei, value, NOON_MS, transport)


def answer(payload: bytes) -> bytes:
    return encode_tcp_frame(CommandMessage(CodecId.CODEC_12, CommandType.RESPONSE, payload))


def test_records_go_to_the_frame_topic_as_they_came() -> None:
    value = make_frame(make_record(), make_record(NOON_MS + 1))
    routed = route(frame(value))
    assert (routed.content, routed.record_count, routed.reason) == (Content.RECORDS, 2, "")
    assert routed.outgoing == (Topic.AVL_FRAMES, IMEI.encode(), value, HEADERS)


def test_what_a_device_said_goes_to_the_responses_as_said_unasked() -> None:
    routed = route(frame(answer(b"hello")))
    assert (routed.content, routed.record_count) == (Content.MESSAGE, 0)
    assert routed.outgoing is not None
    assert routed.outgoing.topic == Topic.RESPONSES
    said = json.loads(routed.outgoing.value)
    assert (said["device_id"], said["text"], said["command_id"]) == (IMEI, "hello", None)
    assert said["received_at"] == "2025-03-14T12:00:00.000Z", "when it came, not when it was sent on"


def test_an_empty_message_is_for_nobody() -> None:
    routed = route(frame(answer(b"")))
    assert (routed.content, routed.outgoing) == (Content.PING, None)


@pytest.mark.parametrize(
    ("value", "transport", "reason"),
    [
        (wire.VENDOR_CODEC_8[:-1] + b"\xff", Transport.TCP, "bad_crc"),
        (b"\0\0garbage", Transport.TCP, "truncated"),
        (wire.VENDOR_CODEC_8, Transport.UDP, None),
        (wire.VENDOR_UDP, Transport.UDP, "imei_mismatch"),
    ],
)
def test_what_cannot_be_read_is_for_the_sink_to_park(
    value: bytes, transport: Transport, reason: str | None
) -> None:
    routed = route(frame(value, transport))
    assert routed.content is Content.UNREADABLE
    assert routed.outgoing is not None
    assert (routed.outgoing.topic, routed.outgoing.value) == (Topic.AVL_FRAMES, value)
    assert routed.reason
    assert reason in (None, routed.reason)


def test_a_datagram_of_the_device_is_records() -> None:
    routed = route(frame(wire.VENDOR_UDP, Transport.UDP, "352093086403655"))
    assert routed.content is Content.RECORDS
    assert routed.outgoing is not None
    assert routed.outgoing.headers[1] == ("transport", b"udp")
