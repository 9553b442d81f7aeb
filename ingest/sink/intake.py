"""Messages of a batch sorted out for the batch decoder: frames with their devices, and what is no frame.

STRATEGY: reading a message costs more than decoding its records, so what the frames of a batch share is read
column by column, and the headers in the form in which our gateway writes them for TCP. A message that is
anything else is looked at more closely: it goes through `ingest.stream.messages`, which says what is wrong
with it, and its place in the columns is filled from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ingest.batch.layout import Column
from ingest.batch.layout import Kind as FrameKind
from ingest.codec8.frames import UDP_HEADER_LENGTH
from ingest.registry_cache import Registry
from ingest.sink.columns import POSTGRES_EPOCH_MS
from ingest.sink.device_tables import DeviceTables
from ingest.sink.placing import FRAME
from ingest.stream.messages import (
    RECEIVED_AT_HEADER,
    TRANSPORT_HEADER,
    MalformedMessageError,
    RawMessage,
    Transport,
    decode_frame,
)
from telematics import imei, stream_position
from telematics.imei import IMEI_LENGTH
from telematics.names import OdometerSource, Topic

_TCP_HEADER: Final = (TRANSPORT_HEADER, Transport.TCP.value.encode())
# plain integers: numpy converts members of an enumeration ten times slower
_TCP_KIND, _UDP_KIND = int(FrameKind.TCP), int(FrameKind.UDP)
_USUAL_DIGITS: Final = 13
"""Milliseconds since the epoch from 2001 to 2286."""
_READINGS: Final = Topic.READINGS.value
_FRAMES: Final = Topic.AVL_FRAMES.value
_UDP_IMEI: Final = slice(UDP_HEADER_LENGTH, UDP_HEADER_LENGTH + IMEI_LENGTH)


@dataclass(slots=True)
class Intake:
    """The frames of a batch in stream order, in columns that run side by side, and the other messages.

    Attributes:
        numbers: of each frame's message in the batch.
        frames: their bytes.
        kinds: `layout.Kind` of each frame.
        devices: number of each frame's device in the tables.
        received_at_ms: when each reached us.
        first_positions: stream position of each frame's record 0.
        others: numbers of messages that hold no frame, or a datagram of another device than their key names.
        readings: numbers of the messages of the readings topic.
    """

    numbers: Sequence[int]
    frames: list[bytes]
    kinds: bytearray
    devices: list[int]
    received_at_ms: list[int]
    first_positions: list[int]
    others: list[int]
    readings: list[int]

    def frame_column(self) -> Column:
        """Entries of `placing.FRAME`."""
        count = len(self.frames)
        column = np.empty(count, FRAME)
        column["device"] = np.fromiter(self.devices, np.int32, count)
        received_at_ms = np.fromiter(self.received_at_ms, np.int64, count)
        column["received_at"] = (received_at_ms - POSTGRES_EPOCH_MS) * 1000
        column["first_position"] = np.fromiter(self.first_positions, np.int64, count)
        return column


def take_in(
    messages: Sequence[RawMessage],
    tables: DeviceTables,
    registry: Registry,
    sources: Mapping[int, OdometerSource],
) -> Intake:
    """Sort messages out; their devices are in the tables afterwards.

    Raises:
        ValueError: a topic carries no telemetry, or a partition or an offset is beyond what a stream position
            holds.
    """
    topics = [message.topic() for message in messages]
    numbers: Sequence[int] = range(len(messages))
    readings: list[int] = []
    if _READINGS in topics:
        readings = [number for number in numbers if topics[number] == _READINGS]
        numbers = [number for number in numbers if topics[number] != _READINGS]
        messages = [messages[number] for number in numbers]
        topics = [topic for topic in topics if topic != _READINGS]
    keys = [message.key() for message in messages]
    tables.begin()
    met: dict[object, int] = {
        key: tables.meet(key, registry, sources) for key in dict.fromkeys(keys) if imei.is_key(key)
    }
    # `Any`: whatever is not of the usual form is replaced below, before it is used
    devices: list[Any] = [met.get(key) for key in keys]
    frames: list[Any] = [message.value() for message in messages]
    received_at_ms: list[Any] = [_usual_time(message.headers()) for message in messages]
    partitions: list[Any] = [message.partition() for message in messages]
    offsets: list[Any] = [message.offset() for message in messages]
    kinds = bytearray([_TCP_KIND]) * len(messages)
    rejected: set[int] = set()
    for place, (topic, device, frame, time_ms, partition, offset) in enumerate(
        zip(topics, devices, frames, received_at_ms, partitions, offsets, strict=True)
    ):
        if (
            topic == _FRAMES
            and device is not None
            and time_ms is not None
            and frame
            and type(frame) is bytes
            and partition is not None
            and offset is not None
        ):
            continue
        try:
            closer = decode_frame(messages[place])
        except MalformedMessageError:
            rejected.add(place)
            continue
        stream_position.pack(Topic(closer.topic), closer.partition, closer.offset, 0)
        received_at_ms[place] = closer.received_at_ms
        if closer.transport is Transport.UDP:
            kinds[place] = _UDP_KIND
            if closer.frame[_UDP_IMEI] != keys[place]:
                rejected.add(place)
    others = [numbers[place] for place in sorted(rejected)]
    if rejected:
        kept = [place for place in range(len(messages)) if place not in rejected]
        numbers = [numbers[place] for place in kept]
        frames, devices, received_at_ms, partitions, offsets = (
            [column[place] for place in kept]
            for column in (frames, devices, received_at_ms, partitions, offsets)
        )
        kinds = bytearray(kinds[place] for place in kept)
    positions = _first_positions(partitions, offsets)
    return Intake(numbers, frames, kinds, devices, received_at_ms, positions, others, readings)


def _usual_time(headers: Any) -> int | None:
    """`received_at` where the headers are those that our gateway writes for TCP; None: look closer."""
    try:
        (name, content), transport = headers
    except (TypeError, ValueError):
        return None
    if transport == _TCP_HEADER and name == RECEIVED_AT_HEADER and type(content) is bytes:
        return int(content) if len(content) == _USUAL_DIGITS and content.isdigit() else None
    return None


def _first_positions(partitions: Sequence[int], offsets: Sequence[int]) -> list[int]:
    """Stream positions of record 0 of frames."""
    if not offsets:
        return []
    for offset in (min(offsets), max(offsets)):
        stream_position.pack(Topic.AVL_FRAMES, 0, offset, 0)
    bases = {
        partition: stream_position.pack(Topic.AVL_FRAMES, partition, 0, 0) for partition in set(partitions)
    }
    return [
        bases[partition] | offset << stream_position.INDEX_BITS
        for partition, offset in zip(partitions, offsets, strict=True)
    ]
