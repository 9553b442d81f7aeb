"""What one Kafka message of the frame topic says: key, value and headers, written and read here only.

`telemetry.avl_frames.v1`: key = IMEI as ASCII digits, value = the frame exactly as it came in (TCP: preamble
to CRC; UDP: the datagram), headers `received_at` (ASCII decimal milliseconds since the epoch, our clock)
and `transport` (`tcp` or `udp`). Reading never trusts: whoever can write to the topic can write anything,
so a message that breaks this contract becomes a `MalformedMessageError`, which consumers park as a dead
letter.
"""

from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from telematics import imei as imei_form
from telematics.errors import PistonError

RECEIVED_AT_HEADER: Final = "received_at"
TRANSPORT_HEADER: Final = "transport"

Headers = list[tuple[str, str | bytes | None]]

# 9999-12-31T23:59:59.999Z: what PostgreSQL, ClickHouse and Python's datetime all hold.
_LAST_MS: Final = 253_402_300_799_999


class Transport(StrEnum):
    """How a frame came in; it decides how the frame is decoded."""

    TCP = "tcp"
    UDP = "udp"


_TRANSPORTS: Final = {transport.value.encode(): transport for transport in Transport}


class MalformedMessageError(PistonError):
    """A message breaks the topic's contract; `reason` is a short stable word for counters and letters."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class RawMessage(Protocol):
    """What is read of a Kafka message; `confluent_kafka.Message` has this shape."""

    def topic(self) -> str | None:
        """Topic."""

    def partition(self) -> int | None:
        """Partition."""

    def offset(self) -> int | None:
        """Offset in the partition."""

    def key(self) -> bytes | str | None:
        """Key."""

    def value(self) -> bytes | str | None:
        """Value."""

    def headers(self) -> Headers | dict[str, str | bytes | None] | None:
        """Headers in order."""


class FrameMessage(NamedTuple):
    """One frame with its place in the stream."""

    topic: str
    partition: int
    offset: int
    imei: str
    frame: bytes
    received_at_ms: int
    """Milliseconds since the epoch, by the gateway's clock."""
    transport: Transport


def encode_headers(received_at_ms: int, transport: Transport) -> Headers:
    """The headers of one frame message."""
    return [
        (RECEIVED_AT_HEADER, b"%d" % received_at_ms),
        (TRANSPORT_HEADER, transport.value.encode()),
    ]


def decode_frame(message: RawMessage) -> FrameMessage:
    """One message of the frame topic, checked.

    Raises:
        MalformedMessageError: key, value or headers are not those of a frame (`bad_key`, `no_value`,
            `bad_headers`).
    """
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        reason = "no_position"
        raise MalformedMessageError(reason, "the message has no topic, partition or offset")
    key, value = message.key(), message.value()
    if not isinstance(key, bytes) or not imei_form.is_well_formed(imei := key.decode("ascii", "replace")):
        reason = "bad_key"
        raise MalformedMessageError(reason, "the key is not an IMEI of 15 digits")
    if not isinstance(value, bytes) or not value:
        reason = "no_value"
        raise MalformedMessageError(reason, "the message has no frame in it")
    received_at_ms, transport = _decode_headers(message.headers())
    return FrameMessage(topic, partition, offset, imei, value, received_at_ms, transport)


def _decode_headers(headers: Headers | dict[str, str | bytes | None] | None) -> tuple[int, Transport]:
    received_at: bytes | str | None = None
    transport: Transport | None = None
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    for name, content in pairs:
        if name == RECEIVED_AT_HEADER:
            received_at = content
        elif name == TRANSPORT_HEADER and isinstance(content, bytes):
            transport = _TRANSPORTS.get(content)
    received_at_ms = decode_received_at(received_at)
    if transport is None:
        reason = "bad_headers"
        raise MalformedMessageError(reason, f"header {TRANSPORT_HEADER} is neither tcp nor udp")
    return received_at_ms, transport


def decode_received_at(content: bytes | str | None) -> int:
    """Milliseconds since the epoch out of the header `received_at`.

    Raises:
        MalformedMessageError: it is missing, no number, or after the year 9999 (`bad_headers`).
    """
    reason = "bad_headers"
    # isdigit and the length keep int() away from signs, underscores and megabytes of digits
    if not isinstance(content, bytes) or not content.isdigit() or len(content) > 15:
        raise MalformedMessageError(
            reason, f"header {RECEIVED_AT_HEADER} is not milliseconds since the epoch"
        )
    if (received_at_ms := int(content)) > _LAST_MS:
        raise MalformedMessageError(reason, f"header {RECEIVED_AT_HEADER} lies after the year 9999")
    return received_at_ms
