"""Messages of a batch sorted out for the batch decoder: frames with their devices, and what is no frame.

Reading a message costs more than decoding its records, so the form in which our gateway writes the headers is
read by hand; any other form goes through `ingest.stream.messages`, which says what is wrong with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

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
from telematics import stream_position
from telematics.imei import IMEI_LENGTH
from telematics.names import OdometerSource, Topic

_TCP_HEADER: Final = (TRANSPORT_HEADER, Transport.TCP.value.encode())
# plain integers: numpy converts members of an enumeration ten times slower
_TCP_KIND, _UDP_KIND = int(FrameKind.TCP), int(FrameKind.UDP)
_USUAL_DIGITS: Final = 13
"""Milliseconds since the epoch from 2001 to 2286."""
_READINGS: Final = Topic.READINGS.value
_UDP_IMEI: Final = slice(UDP_HEADER_LENGTH, UDP_HEADER_LENGTH + IMEI_LENGTH)
_OFFSETS: Final = 1 << stream_position.OFFSET_BITS


@dataclass(slots=True)
class Intake:
    """The frames of a batch in stream order, in lists that run side by side, and the other messages.

    Attributes:
        numbers: of each frame's message in the batch.
        kinds: `layout.Kind` of each frame.
        devices: number of each frame's device in the tables.
        first_positions: stream position of each frame's record 0.
        others: numbers of messages that hold no frame, or a datagram of another device than their key names.
        readings: numbers of messages of the readings topic.
    """

    numbers: list[int] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    devices: list[int] = field(default_factory=list)
    received_at_ms: list[int] = field(default_factory=list)
    first_positions: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    readings: list[int] = field(default_factory=list)

    def frame_column(self) -> Column:
        """Entries of `placing.FRAME`."""
        column = np.empty(len(self.frames), FRAME)
        column["device"] = self.devices
        received_at_ms = np.array(self.received_at_ms, np.int64)
        column["received_at"] = (received_at_ms - POSTGRES_EPOCH_MS) * 1000
        column["first_position"] = self.first_positions
        return column


def take_in(
    messages: Sequence[RawMessage],
    tables: DeviceTables,
    registry: Registry,
    sources: Mapping[int, OdometerSource],
) -> Intake:
    """Sort messages out; their devices are in the tables afterwards.

    Raises:
        ValueError: a partition or an offset is beyond what a stream position holds.
    """
    tables.begin()
    intake = Intake()
    device_numbers: dict[object, int] = {}
    bases: dict[tuple[str, int], int] = {}
    for number, message in enumerate(messages):
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic == _READINGS:
            intake.readings.append(number)
            continue
        key, value, headers = message.key(), message.value(), message.headers()
        device, kind, received_at_ms = device_numbers.get(key), _TCP_KIND, _usual_time(headers)
        if device is None and isinstance(key, bytes) and tables.is_known(key):
            device = device_numbers[key] = tables.meet(key, registry, sources)
        if (
            device is None
            or received_at_ms is None
            or topic is None
            or partition is None
            or offset is None
            or not isinstance(value, bytes)
            or not value
        ):
            try:
                frame = decode_frame(message)
            except MalformedMessageError:
                intake.others.append(number)
                continue
            imei = frame.imei.encode("ascii")
            device = device_numbers.get(imei)
            if device is None:
                device = device_numbers[imei] = tables.meet(imei, registry, sources)
            topic, partition, offset = frame.topic, frame.partition, frame.offset
            received_at_ms, value = frame.received_at_ms, frame.frame
            if frame.transport is Transport.UDP:
                kind = _UDP_KIND
                if value[_UDP_IMEI] != imei:
                    intake.others.append(number)
                    continue
        base = bases.get((topic, partition))
        if base is None:
            base = bases[topic, partition] = stream_position.pack(Topic(topic), partition, 0, 0)
        if not 0 <= offset < _OFFSETS:
            stream_position.pack(Topic(topic), partition, offset, 0)
        intake.numbers.append(number)
        intake.frames.append(value)
        intake.kinds.append(kind)
        intake.devices.append(device)
        intake.received_at_ms.append(received_at_ms)
        intake.first_positions.append(base | offset << stream_position.INDEX_BITS)
    return intake


def _usual_time(headers: object) -> int | None:
    """`received_at` where the headers are those that our gateway writes for TCP; None: look closer."""
    if not isinstance(headers, list) or len(headers) != 2 or headers[1] != _TCP_HEADER:
        return None
    name, content = headers[0]
    if name == RECEIVED_AT_HEADER and isinstance(content, bytes) and len(content) == _USUAL_DIGITS:
        return int(content) if content.isdigit() else None
    return None
