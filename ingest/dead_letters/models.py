"""A dead letter, and whether it would be taken today."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ingest.codec8.errors import DecodeError
from ingest.device_time import ANY_STORABLE, DeviceTimes
from ingest.frame_packet import NotTelemetryError, unpack_avl
from ingest.stream.messages import (
    FrameMessage,
    Headers,
    MalformedMessageError,
    Transport,
    encode_headers,
)
from ingest.stream.readings import decode_value, encode_reading_headers
from telematics.clock import epoch_ms
from telematics.names import Topic


class Status(StrEnum):
    """What became of a letter."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of `dead_letters`."""

    dead_letter_id: int
    topic: str
    partition: int
    offset: int
    device_id: str | None
    transport: str | None
    received_at: datetime | None
    """When the message reached us; None where its headers did not tell."""
    reason: str
    """A short stable word."""
    detail: str
    message: bytes
    status: Status
    created_at: datetime


class Verdict(NamedTuple):
    """What the decoder of this release says about a letter."""

    is_accepted: bool
    record_count: int | None
    """Records that would be stored; None where only the store can tell."""
    reason: str
    """Why not; empty if accepted."""


def examine(letter: DeadLetter, times: DeviceTimes = ANY_STORABLE) -> Verdict:
    """Whether the message would be stored if it came again now.

    The sink's own steps, without the store: what PostgreSQL refused can only be tried.

    Args:
        letter: what is parked.
        times: the device times that count now.
    """
    if letter.topic == Topic.READINGS:
        return _examine_reading(letter, times)
    if letter.topic != Topic.AVL_FRAMES:
        return Verdict(False, None, f"{letter.topic} is no topic of telemetry")
    if letter.device_id is None or letter.transport is None or letter.received_at is None:
        reason = "its key or headers broke the topic's contract, so nobody knows how to read it"
        return Verdict(False, None, reason)
    frame = FrameMessage(
        letter.topic,
        letter.partition,
        letter.offset,
        letter.device_id,
        letter.message,
        epoch_ms(letter.received_at),
        Transport(letter.transport),
    )
    try:
        packet = unpack_avl(frame)
    except NotTelemetryError as error:
        return Verdict(False, None, f"{error.reason}: {error.detail}")
    except DecodeError as error:
        return Verdict(False, None, f"{error.reason.value}: {error.detail} (byte {error.offset})")
    storable = sum(times.accept(record.timestamp_ms, frame.received_at_ms) for record in packet.records)
    if storable < len(packet.records):
        reason = f"time_out_of_range: records {times.words()}; the others are stored already"
        return Verdict(False, storable, reason)
    return Verdict(True, storable, "")


def _examine_reading(letter: DeadLetter, times: DeviceTimes) -> Verdict:
    if letter.device_id is None or letter.received_at is None:
        reason = "its key or header broke the topic's contract, so nobody knows whose it is"
        return Verdict(False, None, reason)
    try:
        reading = decode_value(letter.message)
    except MalformedMessageError as error:
        return Verdict(False, None, f"{error.reason}: {error.detail}")
    if not times.accept(reading.time_ms, epoch_ms(letter.received_at)):
        return Verdict(False, 0, f"time_out_of_range: the reading lies {times.words()}")
    return Verdict(True, 1, "")


def headers_of(letter: DeadLetter) -> Headers:
    """The headers that the message came with, as far as they were in order."""
    if letter.received_at is None:
        return []
    received_at_ms = epoch_ms(letter.received_at)
    if letter.transport is None:
        return encode_reading_headers(received_at_ms)
    return encode_headers(received_at_ms, Transport(letter.transport))
