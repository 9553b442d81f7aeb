"""Where a frame out of quarantine goes: where the gateway would have sent it. Pure."""

from enum import StrEnum
from typing import NamedTuple

from ingest.codec8.decoding import decode_tcp_frame, decode_udp_datagram
from ingest.codec8.errors import DecodeError
from ingest.codec8.records import AvlPacket, CodecId, CommandMessage
from ingest.commands.answers import build_response
from ingest.stream.messages import FrameMessage, Transport, encode_headers
from ingest.stream.publisher import Outgoing
from telematics.names import Topic


class Content(StrEnum):
    """What a frame holds."""

    RECORDS = "records"
    MESSAGE = "message"
    """What a device says in codecs 12 to 15: for `device.responses.v1`."""
    PING = "ping"
    """A codec 12 with nothing in it, which keeps a link open: for nobody."""
    UNREADABLE = "unreadable"
    """For the frame topic all the same: the sink parks it as a dead letter, with its reason."""


class Routed(NamedTuple):
    """A frame and what is to be sent for it."""

    content: Content
    record_count: int
    reason: str
    """Why it cannot be read; empty if it can."""
    outgoing: Outgoing | None
    """None: nothing."""


def route(frame: FrameMessage) -> Routed:
    """What is to be sent for a frame, with its device and the time it was received."""
    is_udp = frame.transport is Transport.UDP
    try:
        if is_udp:
            datagram = decode_udp_datagram(frame.frame)
            content: AvlPacket | CommandMessage = datagram.content
            if datagram.imei != frame.imei:
                return _unreadable(frame, "imei_mismatch")
        else:
            # the gateway's limit protects its memory; here the frame is in memory already
            content = decode_tcp_frame(frame.frame, max_data_length=len(frame.frame))
    except DecodeError as error:
        return _unreadable(frame, error.reason.value)
    if isinstance(content, AvlPacket):
        return Routed(Content.RECORDS, len(content.records), "", _outgoing(frame, Topic.AVL_FRAMES))
    if content.codec is CodecId.CODEC_12 and not content.payload:
        return Routed(Content.PING, 0, "", None)
    response = build_response(content, frame.imei, frame.received_at_ms, None)
    return Routed(Content.MESSAGE, 0, "", _outgoing(frame, Topic.RESPONSES, response))


def _unreadable(frame: FrameMessage, reason: str) -> Routed:
    return Routed(Content.UNREADABLE, 0, reason, _outgoing(frame, Topic.AVL_FRAMES))


def _outgoing(frame: FrameMessage, topic: Topic, value: bytes | None = None) -> Outgoing:
    headers = encode_headers(frame.received_at_ms, frame.transport)
    return Outgoing(topic, frame.imei.encode(), frame.frame if value is None else value, headers)
