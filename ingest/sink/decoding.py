"""A batch of Kafka messages in, the bytes of a COPY and the rejected messages out.

This is the sink's seam for speed: `FrameDecoder` says what the sink needs. The decoder here walks records in
plain Python and is the reference; `ingest.sink.batch_decoding` gives the same answer from compiled code.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from ingest.codec8.errors import DecodeError
from ingest.codec8.records import AvlPacket
from ingest.device_time import ANY_STORABLE, DeviceTimes
from ingest.frame_packet import NotTelemetryError, unpack_avl
from ingest.measurement import ODOMETER_COLUMNS, odometer_metres
from ingest.registry.timeline import Installation
from ingest.registry_cache import Registry
from ingest.sink.copy_binary import TRAILER, CopyEncoder, Row
from ingest.sink.reading_rows import ReadingRows
from ingest.sink.received import ReceivedSpan, widened
from ingest.sink.rows import (
    Identity,
    build_row,
    frame_context,
    row_identity,
    stamp_odometer,
)
from ingest.stream.messages import (
    FrameMessage,
    MalformedMessageError,
    RawMessage,
    decode_frame,
    decode_received_at,
)
from ingest.stream.readings import is_device_id, received_at_of
from telematics import imei as imei_form
from telematics.names import OdometerSource, Topic

DAY_MS: Final = 86_400_000

OdometerSources = Mapping[int, OdometerSource]
"""Installation id → the one odometer that feeds `telemetry.odometer`."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A message for `dead_letters`: whole, with the reason."""

    topic: str
    partition: int
    offset: int
    device_id: str | None
    transport: str | None
    received_at_ms: int | None
    reason: str
    detail: str
    message: bytes


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """What a batch of messages comes to."""

    copy: bytes
    """A COPY BINARY stream with each row identity once."""
    row_count: int
    duplicate_count: int
    """Records whose identity came earlier in the same batch."""
    rows_by_day: Mapping[int, int]
    """Days since 1970-01-01 → rows in `copy`."""
    rejects: Sequence[Reject]
    chosen_sources: OdometerSources
    """Odometer sources of installations that had none yet and sent an odometer in this batch."""
    received_ms: ReceivedSpan | None
    """When its frames and readings reached us; None where there are none."""


class FrameDecoder(Protocol):
    """Turns messages into rows. Pure: the same messages and registry give the same answer."""

    def decode(
        self, messages: Sequence[RawMessage], registry: Registry, sources: OdometerSources
    ) -> DecodedBatch:
        """Decode messages in stream order.

        Args:
            messages: of both telemetry topics.
            registry: families and installations of their devices.
            sources: odometer sources chosen after `registry` was read.
        """


@dataclass(slots=True)
class _Accumulator:
    """Rows and rejects of the batch that is being decoded."""

    sources: OdometerSources
    rows: dict[Identity, Row] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    record_count: int = 0
    received_ms: ReceivedSpan | None = None
    days: Counter[int] = field(default_factory=Counter)
    undecided: dict[int, list[Row]] = field(default_factory=dict)

    def add(self, row: Row, day: int, installation: Installation | None) -> None:
        self.record_count += 1
        identity = row_identity(row)
        if identity in self.rows:
            return
        self.rows[identity] = row
        self.days[day] += 1
        if installation is None:
            return
        number = installation.installation_id
        source = installation.odometer_source or self.sources.get(number)
        if source is not None:
            stamp_odometer(row, source)
        else:
            self.undecided.setdefault(number, []).append(row)

    def choose_sources(self) -> dict[int, OdometerSource]:
        """Settle on the best odometer that each undecided installation sent, and stamp its rows."""
        chosen: dict[int, OdometerSource] = {}
        for installation_id, rows in self.undecided.items():
            for source in ODOMETER_COLUMNS:
                if any(odometer_metres(row, source) is not None for row in rows):
                    chosen[installation_id] = source
                    for row in rows:
                        stamp_odometer(row, source)
                    break
        return chosen


class PythonFrameDecoder:
    """The `FrameDecoder` that walks one record after the other."""

    def __init__(self, times: DeviceTimes = ANY_STORABLE) -> None:
        """A decoder; records outside `times` become dead letters."""
        self._encoder = CopyEncoder()
        self._times = times

    def decode(
        self, messages: Sequence[RawMessage], registry: Registry, sources: OdometerSources
    ) -> DecodedBatch:
        """Decode messages in stream order; a message that cannot be decoded leaves its neighbours alone."""
        batch, readings = _Accumulator(sources), ReadingRows(registry, self._times)
        for message in messages:
            if message.topic() != Topic.READINGS:
                self._decode_message(message, registry, batch)
            elif (refused := take_reading(message, readings)) is not None:
                batch.rejects.append(refused)
        chosen = batch.choose_sources()
        frames = DecodedBatch(
            copy=self._encoder.encode(batch.rows.values()),
            row_count=len(batch.rows),
            duplicate_count=batch.record_count - len(batch.rows),
            rows_by_day=dict(batch.days),
            rejects=batch.rejects,
            chosen_sources=chosen,
            received_ms=batch.received_ms,
        )
        return with_readings(frames, readings, sources)

    def _decode_message(self, message: RawMessage, registry: Registry, batch: _Accumulator) -> None:
        unpacked = unpack_message(message)
        if isinstance(unpacked, Reject):
            batch.rejects.append(unpacked)
            return
        frame, packet = unpacked
        context = frame_context(frame, registry)
        batch.received_ms = widened(batch.received_ms, ReceivedSpan.of(frame.received_at_ms))
        unstorable: list[int] = []
        for index, record in enumerate(packet.records):
            time_ms = record.timestamp_ms
            if self._times.accept(time_ms, frame.received_at_ms):
                installation = registry.at(frame.imei, time_ms)
                batch.add(build_row(record, index, context, installation), time_ms // DAY_MS, installation)
            else:
                unstorable.append(index)
        if unstorable:
            batch.rejects.append(reject_untimely(message, unstorable, self._times))


def unpack_message(message: RawMessage) -> tuple[FrameMessage, AvlPacket] | Reject:
    """The AVL packet in a message, or why there is none."""
    try:
        frame = decode_frame(message)
        return frame, unpack_avl(frame)
    except (MalformedMessageError, NotTelemetryError) as error:
        return reject(message, error.reason, error.detail)
    except DecodeError as error:
        return reject(message, error.reason.value, f"{error.detail} (byte {error.offset})")


def take_reading(message: RawMessage, readings: ReadingRows) -> Reject | None:
    """Add a posted reading to the others, or say why it is none."""
    try:
        readings.take(message)
    except MalformedMessageError as error:
        return reject(message, error.reason, error.detail)
    return None


def with_readings(frames: DecodedBatch, readings: ReadingRows, sources: OdometerSources) -> DecodedBatch:
    """The batch's frames and its readings in one; what was rejected is in `frames` already."""
    if not readings.reading_count:
        return frames
    chosen = readings.stamp_odometers({**sources, **frames.chosen_sources})
    return DecodedBatch(
        copy=b"".join((frames.copy[: -len(TRAILER)], readings.encode(), TRAILER)),
        row_count=frames.row_count + readings.row_count,
        duplicate_count=frames.duplicate_count + readings.duplicate_count,
        rows_by_day=Counter(frames.rows_by_day) + readings.rows_by_day,
        rejects=frames.rejects,
        chosen_sources={**frames.chosen_sources, **chosen},
        received_ms=widened(frames.received_ms, readings.received_ms),
    )


def reject_untimely(message: RawMessage, indices: Iterable[int], times: DeviceTimes) -> Reject:
    """A message some of whose records, numbered from 0, have a time that no row may have."""
    numbers = ", ".join(map(str, indices))
    detail = f"records {numbers} lie {times.words()}; the others are stored"
    return reject(message, "time_out_of_range", detail)


def reject(message: RawMessage, reason: str, detail: str) -> Reject:
    """A message as a dead letter. What of its key and headers is malformed stands in the detail."""
    value = message.value()
    origin = _reading_origin(message) if message.topic() == Topic.READINGS else _frame_origin(message)
    if not origin.is_whole:
        detail = f"{detail}; key {message.key()!r:.80}, headers {message.headers()!r:.200}"
    body = value if isinstance(value, bytes) else (value or "").encode()
    return Reject(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        device_id=origin.device_id,
        transport=origin.transport,
        received_at_ms=origin.received_at_ms,
        reason=reason,
        detail=detail,
        message=body,
    )


class _Origin(NamedTuple):
    """What a message's key and headers say, as far as they are in order."""

    device_id: str | None
    transport: str | None
    received_at_ms: int | None
    is_whole: bool


def _frame_origin(message: RawMessage) -> _Origin:
    key = message.key()
    try:
        frame = decode_frame(message)
    except MalformedMessageError:
        text = key.decode("ascii", "replace") if isinstance(key, bytes) else ""
        return _Origin(text if imei_form.is_well_formed(text) else None, None, None, False)
    return _Origin(frame.imei, frame.transport.value, frame.received_at_ms, True)


def _reading_origin(message: RawMessage) -> _Origin:
    key = message.key()
    text = key.decode("ascii", "replace") if isinstance(key, bytes) else ""
    device_id = text if is_device_id(text) else None
    try:
        received_at_ms = decode_received_at(received_at_of(message.headers()))
    except MalformedMessageError:
        return _Origin(device_id, None, None, False)
    return _Origin(device_id, None, received_at_ms, device_id is not None)
