"""The `FrameDecoder` that decodes whole batches in compiled code and writes the rows there, too.

Its answer equals that of `PythonFrameDecoder`, byte for byte. Steps:

1. `take_in`: sort the messages out (Python, once per message);
2. `BatchDecoder.decode`: frames → records and elements;
3. `place_records`: hash, duplicates, installations; `find_odometers` where an installation has none chosen;
4. `write_rows`: the bytes of the COPY, all but the rows out of the ordinary;
5. the reference builds those, and says why each refused frame was refused;
6. posted readings, if there are any, follow behind the frames' rows (`ingest.sink.reading_rows`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import structlog

from ingest.batch.decoder import NO_LIMIT, BatchDecoder, DecodedFrames
from ingest.batch.layout import Column, Status
from ingest.device_time import ANY_STORABLE, DeviceTimes
from ingest.registry_cache import Registry
from ingest.sink.columns import epoch_milliseconds
from ingest.sink.copy_binary import SIGNATURE, TRAILER, CopyEncoder
from ingest.sink.decoding import (
    DAY_MS,
    DecodedBatch,
    OdometerSources,
    PythonFrameDecoder,
    Reject,
    reject_untimely,
    take_reading,
    unpack_message,
    with_readings,
)
from ingest.sink.device_tables import DeviceTables
from ingest.sink.element_rules import element_rules
from ingest.sink.intake import Intake, take_in
from ingest.sink.placing import DUPLICATE, NOT_CHOSEN, NOT_STORABLE, SOURCES, compile_placing
from ingest.sink.reading_rows import ReadingRows
from ingest.sink.received import ReceivedSpan
from ingest.sink.row_writing import DATA_BYTES, ELEMENT_BYTES, ROW_BYTES, compile_row_writing
from ingest.sink.rows import build_row, frame_context, stamp_odometer
from ingest.sink.scratch import Scratch
from ingest.stream.messages import RawMessage, decode_frame
from telematics.names import OdometerSource

log = structlog.get_logger()

_FEWEST_SLOTS: Final = 16

_placing = cache(compile_placing)
_row_writing = cache(compile_row_writing)


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch between its steps.

    Attributes:
        frames: entries of `placing.FRAME`.
        hashes: content hash of each record.
        placements: see `place_records`.
    """

    messages: Sequence[RawMessage]
    intake: Intake
    decoded: DecodedFrames
    frames: Column
    hashes: Column
    placements: Column


class BatchFrameDecoder:
    """The `FrameDecoder` in compiled code; compiles, or loads, its machine code when it is made."""

    def __init__(self, times: DeviceTimes = ANY_STORABLE) -> None:
        """A decoder; records outside `times` become dead letters."""
        self._decoder = BatchDecoder()
        self._place, self._find_odometers = _placing()
        self._write = _row_writing()
        self._rules = element_rules()
        self._tables = DeviceTables(self._rules)
        self._scratch = Scratch()
        self._out = np.empty(0, np.uint8)
        self._encoder = CopyEncoder()
        self._reference = PythonFrameDecoder(times)
        self._times = times
        self._reference_rows = 0

    @property
    def reference_row_count(self) -> int:
        """Rows so far that the reference built, because they were out of the ordinary."""
        return self._reference_rows

    def decode(
        self, messages: Sequence[RawMessage], registry: Registry, sources: OdometerSources
    ) -> DecodedBatch:
        """Decode messages in stream order; a message that cannot be decoded leaves its neighbours alone."""
        batch = self._placed(messages, registry, sources)
        readings = ReadingRows(registry, self._times)
        rejects = _rejects(batch, readings, self._times)
        if rejects is None:
            log.error("sink.decoders_disagree", frames=len(messages))
            return self._reference.decode(messages, registry, sources)
        chosen = self._chosen_sources(batch)
        copy = self._rows(batch, registry, {**sources, **chosen})
        is_row = batch.placements > DUPLICATE
        is_decoded = batch.decoded.statuses == Status.DECODED
        received = batch.frames["received_at"][is_decoded]
        frames = DecodedBatch(
            copy=copy,
            row_count=int(np.count_nonzero(is_row)),
            duplicate_count=int(np.count_nonzero(batch.placements == DUPLICATE)),
            rows_by_day=_rows_by_day(batch.decoded.records["timestamp_ms"][is_row]),
            rejects=rejects,
            chosen_sources=chosen,
            received_ms=ReceivedSpan(
                epoch_milliseconds(int(received.min())), epoch_milliseconds(int(received.max()))
            )
            if received.size
            else None,
        )
        return with_readings(frames, readings, sources)

    def _placed(self, messages: Sequence[RawMessage], registry: Registry, sources: OdometerSources) -> _Batch:
        """Steps 1 to 3, up to the odometers."""
        intake = take_in(messages, self._tables, registry, sources)
        decoded = self._decoder.decode(intake.frames, intake.kinds, NO_LIMIT)
        count = len(decoded.records)
        hashes, placements = np.empty(count, np.int64), np.empty(count, np.int32)
        batch = _Batch(messages, intake, decoded, intake.frame_column(), hashes, placements)
        slots = np.empty(max(_FEWEST_SLOTS, 1 << (2 * count).bit_length()), np.int32)
        self._place(
            decoded.data,
            decoded.records,
            batch.frames,
            self._tables.devices,
            self._tables.installations,
            slots,
            batch.hashes,
            batch.placements,
            self._times.earliest_ms,
            self._times.ahead_ms,
        )
        return batch

    def _chosen_sources(self, batch: _Batch) -> dict[int, OdometerSource]:
        """Choose the best odometer that each undecided installation sent, and note it in the batch."""
        installations = self._tables.installations
        undecided = [
            number for number in self._tables.undecided if installations["source"][number] == NOT_CHOSEN
        ]
        if not undecided:
            return {}
        sent = np.zeros((len(installations), len(SOURCES)), np.bool_)
        self._find_odometers(
            batch.decoded.records,
            batch.decoded.elements,
            batch.frames,
            self._tables.devices,
            batch.placements,
            self._rules.lookup,
            self._rules.rules,
            self._rules.sentinels,
            sent,
        )
        chosen: dict[int, OdometerSource] = {}
        for number in undecided:
            if sent[number].any():
                best = int(sent[number].argmax())
                installations["source"][number] = best
                chosen[self._tables.installation(number).installation_id] = SOURCES[best]
        return chosen

    def _rows(self, batch: _Batch, registry: Registry, sources: OdometerSources) -> bytes:
        """Step 4 and the rows of step 5, as a whole COPY stream."""
        records, elements = batch.decoded.records, batch.decoded.elements
        scratch = self._scratch
        lengths = records["element_end"] - records["element_start"]
        scratch.make_ready(int(lengths.max(initial=0)))
        room = len(records) * ROW_BYTES + len(elements) * ELEMENT_BYTES + len(batch.decoded.data) * DATA_BYTES
        if self._out.size < room:
            self._out = np.empty(room, np.uint8)
        rare, rare_at = np.empty(len(records), np.int64), np.empty(len(records), np.int64)
        size, rare_count = self._write(
            batch.decoded.data,
            records,
            elements,
            batch.frames,
            self._tables.devices,
            self._tables.imeis,
            self._tables.installations,
            self._tables.vins,
            batch.hashes,
            batch.placements,
            self._rules.lookup,
            self._rules.rules,
            self._rules.sentinels,
            scratch.slots,
            scratch.present,
            scratch.double,
            scratch.double_bits,
            scratch.single,
            scratch.single_bits,
            scratch.stamps,
            scratch.unfit,
            self._out,
            rare,
            rare_at,
        )
        self._reference_rows += rare_count
        written = self._out[:size].data
        parts: list[bytes | memoryview] = [SIGNATURE]
        start = 0
        for number, end in zip(rare[:rare_count].tolist(), rare_at[:rare_count].tolist(), strict=True):
            parts += (written[start:end], self._reference_row(batch, number, registry, sources))
            start = end
        return b"".join((*parts, written[start:], TRAILER))

    def _reference_row(
        self, batch: _Batch, number: int, registry: Registry, sources: OdometerSources
    ) -> bytes:
        """The row of one record, as the reference decoder builds it."""
        entry = batch.decoded.records[number]
        message = batch.messages[batch.intake.numbers[entry["frame"]]]
        placement = batch.placements[number]
        installation = self._tables.installation(placement) if placement >= 0 else None
        context = frame_context(decode_frame(message), registry)
        row = build_row(batch.decoded.record(number), int(entry["index"]), context, installation)
        if installation is not None:
            source = installation.odometer_source or sources.get(installation.installation_id)
            if source is not None:
                stamp_odometer(row, source)
        return self._encoder.encode_row(row)


def _rejects(batch: _Batch, readings: ReadingRows, times: DeviceTimes) -> list[Reject] | None:
    """The rejects in the order of the messages; None if the reference accepts what was refused here.

    Takes the batch's readings in on the way.
    """
    refused = np.flatnonzero(batch.decoded.statuses != Status.DECODED)
    numbers = sorted([*batch.intake.others, *(batch.intake.numbers[frame] for frame in refused.tolist())])
    rejects: dict[int, Reject] = {}
    for number in numbers:
        outcome = unpack_message(batch.messages[number])
        if not isinstance(outcome, Reject):
            return None
        rejects[number] = outcome
    for number in batch.intake.readings:
        if (unfit := take_reading(batch.messages[number], readings)) is not None:
            rejects[number] = unfit
    for frame, indices in _untimely(batch):
        number = batch.intake.numbers[frame]
        rejects[number] = reject_untimely(batch.messages[number], indices, times)
    return [rejects[number] for number in sorted(rejects)]


def _untimely(batch: _Batch) -> Iterator[tuple[int, list[int]]]:
    """Frames with records whose time no row can have, and the numbers of those records in their frame."""
    found = batch.decoded.records[batch.placements == NOT_STORABLE]
    frames = found["frame"]
    for frame in np.unique(frames).tolist():
        yield frame, found["index"][frames == frame].tolist()


def _rows_by_day(timestamps_ms: Column) -> dict[int, int]:
    """Days since 1970-01-01 → rows."""
    days = (timestamps_ms // np.uint64(DAY_MS)).astype(np.int64)
    if not days.size:
        return {}
    first = int(days.min())
    counts = np.bincount(days - first)
    return {first + place: int(counts[place]) for place in np.flatnonzero(counts).tolist()}
