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
from ingest.registry.timeline import Installation
from ingest.registry_cache import Registry
from ingest.sink.columns import VIN_LENGTH, postgres_microseconds
from ingest.sink.element_rules import ElementRules
from ingest.sink.placing import DEVICE, FRAME, INSTALLATION, NOT_CHOSEN, SOURCES
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
    """

    numbers: list[int] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    devices: list[int] = field(default_factory=list)
    received_at_ms: list[int] = field(default_factory=list)
    first_positions: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)

    def frame_column(self) -> Column:
        """Entries of `placing.FRAME`."""
        column = np.empty(len(self.frames), FRAME)
        column["device"] = self.devices
        column["received_at"] = [postgres_microseconds(moment) for moment in self.received_at_ms]
        column["first_position"] = self.first_positions
        return column


@dataclass(slots=True)
class DeviceTables:
    """Devices of a batch and their installations, numbered as they come.

    Attributes:
        imeis: of each device.
        entries: of each device, fields of `DEVICE`.
        installations: those of one device side by side, oldest first.
    """

    registry: Registry
    rules: ElementRules
    imeis: list[bytes] = field(default_factory=list)
    entries: list[tuple[int, int, int]] = field(default_factory=list)
    installations: list[Installation] = field(default_factory=list)

    def add(self, imei: bytes) -> int:
        """The number of a device that was not there yet."""
        text = imei.decode("ascii")
        family = self.rules.families.get(self.registry.family(text), self.rules.families[None])
        start = len(self.installations)
        self.installations += self.registry.installations(text)
        self.entries.append((family, start, len(self.installations)))
        self.imeis.append(imei)
        return len(self.imeis) - 1

    def installation_column(self, sources: Mapping[int, OdometerSource]) -> Column:
        """Entries of `INSTALLATION`; `sources` counts where the registry names none."""
        column = np.empty(len(self.installations), INSTALLATION)
        for number, item in enumerate(self.installations):
            source = item.odometer_source or sources.get(item.installation_id)
            place = NOT_CHOSEN if source is None else SOURCES.index(source)
            column[number] = item.start_ms, item.end_ms, place
        return column

    def device_column(self) -> Column:
        """Entries of `DEVICE`."""
        return np.array(self.entries, DEVICE)

    def imei_matrix(self) -> Column:
        """[device, 15] digits."""
        return np.array(self.imeis, f"S{IMEI_LENGTH}").view(np.uint8).reshape(-1, IMEI_LENGTH)

    def vin_matrix(self) -> Column:
        """[installation, 17] characters."""
        vins = np.array([item.vin.encode("ascii") for item in self.installations], f"S{VIN_LENGTH}")
        return vins.view(np.uint8).reshape(-1, VIN_LENGTH)


def take_in(messages: Sequence[RawMessage], tables: DeviceTables) -> Intake:
    """Sort messages out; devices that are met for the first time join the tables.

    Raises:
        ValueError: a partition or an offset is beyond what a stream position holds.
    """
    intake = Intake()
    device_numbers: dict[object, int] = {}
    bases: dict[tuple[str, int], int] = {}
    for number, message in enumerate(messages):
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic == _READINGS:
            intake.others.append(number)
            continue
        key, value, headers = message.key(), message.value(), message.headers()
        device, kind, received_at_ms = device_numbers.get(key), FrameKind.TCP, _usual_time(headers)
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
                device = device_numbers[imei] = tables.add(imei)
            topic, partition, offset = frame.topic, frame.partition, frame.offset
            received_at_ms, value = frame.received_at_ms, frame.frame
            if frame.transport is Transport.UDP:
                kind = FrameKind.UDP
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
