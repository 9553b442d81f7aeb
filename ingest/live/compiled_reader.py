"""The `BatchReader` in compiled code. Its digest equals that of `ReferenceReader`.

Steps:

1. `take_in`: sort the messages out (Python, once per message);
2. `BatchDecoder.decode`: frames → records and elements;
3. `measure_records`: vehicles, subjects, and the few columns that matter here;
4. `find_newest`: the newest record of each vehicle for each signal; those become text (Python, once per
   vehicle and batch);
5. `advance_states`: alert states move forward where nothing can be raised;
6. the reference takes what is out of the ordinary: all records of a vehicle of which one cannot be measured
   here, or that has a posted reading in the batch; and the alert states of those devices in vehicles of which
   a record might raise something. From the states before the batch, so it says the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from ingest.alerts.memory import (
    Encoded,
    Memory,
    ObservedFrame,
    Settled,
    Subject,
    decode_state,
    encode_position,
    settle,
)
from ingest.alerts.packed import States, StateTable, texts_of
from ingest.alerts.packed_rules import NUMBER_COUNT, OBSERVED, compile_rules
from ingest.alerts.packed_writing import STATE_BYTES
from ingest.batch.decoder import NO_LIMIT, BatchDecoder, DecodedFrames
from ingest.batch.layout import Column, Status
from ingest.live.element_parts import REALS, element_parts
from ingest.live.measuring import compile_measuring
from ingest.live.newest_texts import build_offers
from ingest.live.offsets import Incarnations
from ingest.live.reading import (
    Digest,
    ReadOrigins,
    Recall,
    encode_all,
    maybe_reading,
    observe_frame,
    observe_reading,
    origins_of,
)
from ingest.live.state import SIGNALS, NewestState, Offer
from ingest.live.vehicle_tables import VehicleTables, grown
from ingest.measurement import FIRST_TIME_MS
from ingest.registry_cache import Registry
from ingest.sink.element_rules import element_rules
from ingest.sink.intake import Intake, take_in
from ingest.stream.messages import RawMessage
from ingest.stream.readings import ReadingMessage
from telematics.names import Topic
from telematics.stream_position import INDEX_BITS, OFFSET_BITS, PARTITION_BITS

_FRAMES: Final = Topic.AVL_FRAMES.value
_LONGEST_FRAME: Final = 255
_NOT_MET: Final = -1

_measuring = cache(compile_measuring)
_rules = cache(compile_rules)


@dataclass(slots=True)
class _Batch:
    """A batch between its steps. Its vehicles and subjects have places, counted from 0.

    Attributes:
        facts: entries of `packed_rules.OBSERVED`, by record; see there for the two that follow.
        vehicles: numbers of the vehicles of its frames.
        subjects: numbers of the subjects of its frames.
        is_rare: [vehicle]: the reference measures its records.
        is_marked: [subject]: the reference moves its state.
    """

    messages: Sequence[RawMessage]
    intake: Intake
    decoded: DecodedFrames
    facts: Column
    numbers: Column
    reals: Column
    received_at_ms: Column
    ignored_count: int
    vehicles: Column
    subjects: Column
    readings: Mapping[int, ReadingMessage]
    is_rare: Column
    is_marked: Column


@dataclass(slots=True)
class _Moved:
    """States that moved in a batch, to be kept when they are in Redis."""

    rows: Column = field(default_factory=lambda: np.empty(0, np.int64))
    states: States = field(default_factory=lambda: States.make(0))
    others: Mapping[Subject, Memory] = field(default_factory=dict)


class CompiledReader:
    """The `BatchReader` in compiled code; compiles, or loads, its machine code when it is made."""

    def __init__(self, recall: Recall, read_origins: ReadOrigins, earliest_ms: int = FIRST_TIME_MS) -> None:
        """A reader; records from before `earliest_ms` do not count."""
        self._earliest_ms = earliest_ms
        self._recall = recall
        self._read_origins = read_origins
        self._decoder = BatchDecoder()
        self._measure, self._find_newest = _measuring()
        self._advance, self._write_states = _rules()
        self._rules, self._parts = element_rules(), element_parts()
        self._tables = VehicleTables()
        self._generation = self._tables.generation
        self._states = StateTable()
        self._vehicle_places: Column = np.empty(0, np.int32)
        self._subject_places: Column = np.empty(0, np.int32)
        self._moved = _Moved()
        self._reference_count = 0

    @property
    def reference_count(self) -> int:
        """Frames so far that the reference took, because they were out of the ordinary."""
        return self._reference_count

    def read(self, messages: Sequence[RawMessage], registry: Registry, incarnations: Incarnations) -> Digest:
        """See `BatchReader`."""
        batch = self._measured(messages, registry)
        self._read_states(batch.subjects)
        offers = self._offers(batch)
        states, is_moved, repeated = self._advanced(batch, incarnations)
        state, settled = self._by_reference(batch, registry, incarnations)
        rare = {self._tables.vehicle_names[number] for number in batch.vehicles[batch.is_rare].tolist()}
        posted = _vehicles_of(batch.readings.values(), registry)
        offers |= {vin: offer for vin, offer in state.offers().items() if vin in rare or vin in posted}
        is_kept = is_moved & ~batch.is_marked
        self._moved = _Moved(batch.subjects[is_kept], states.take(np.flatnonzero(is_kept)), settled.memories)
        is_decoded = batch.decoded.statuses == Status.DECODED
        return Digest(
            offers=offers,
            memories=self._encoded(self._moved) | encode_all(settled),
            alerts=settled.alerts,
            undecodable=len(messages) - int(np.count_nonzero(is_decoded)) - len(batch.readings),
            record_count=len(batch.decoded.records) + len(batch.readings),
            ignored_count=batch.ignored_count + len(batch.readings) - state.reading_count,
            repeated_count=int(repeated[~batch.is_marked].sum()) + settled.repeated_count,
            received_at_ms=[
                *batch.received_at_ms[is_decoded].tolist(),
                *(reading.received_at_ms for reading in batch.readings.values()),
            ],
        )

    def settled(self) -> None:
        """See `BatchReader`."""
        moved, self._moved = self._moved, _Moved()
        self._states.put(moved.rows, moved.states)
        for subject, memory in moved.others.items():
            self._states.set(self._tables.subject(subject), memory)

    def forget(self) -> None:
        """See `BatchReader`."""
        self._states.forget()

    def _measured(self, messages: Sequence[RawMessage], registry: Registry) -> _Batch:
        """Steps 1 to 3."""
        tables = self._tables
        intake = take_in(messages, tables, registry, {})
        if tables.generation != self._generation:
            self._generation = tables.generation
            self._states.forget()
        decoded = self._decoder.decode(intake.frames, intake.kinds, NO_LIMIT)
        count = len(decoded.records)
        self._vehicle_places = grown(self._vehicle_places, len(tables.vehicle_names), _NOT_MET)
        self._subject_places = grown(self._subject_places, len(tables.subjects), _NOT_MET)
        vehicles, subjects = np.empty(count, np.int64), np.empty(count, np.int64)
        facts = np.empty(count, OBSERVED)
        numbers = np.empty((count, NUMBER_COUNT), np.int64)
        reals = np.empty((count, len(REALS)), np.float64)
        received_at_ms = np.array(intake.received_at_ms, np.int64)
        ignored_count, vehicle_count, subject_count = self._measure(
            decoded.data,
            decoded.records,
            decoded.elements,
            np.array(intake.devices, np.int32),
            received_at_ms,
            tables.devices,
            tables.installations,
            tables.installation_vehicles,
            tables.installation_subjects,
            self._parts.lookup,
            self._parts.parts,
            self._rules.rules,
            self._rules.sentinels,
            self._vehicle_places,
            self._subject_places,
            vehicles,
            subjects,
            facts,
            numbers,
            reals,
            self._earliest_ms,
        )
        vehicles, subjects = vehicles[:vehicle_count], subjects[:subject_count]
        self._vehicle_places[vehicles] = _NOT_MET
        self._subject_places[subjects] = _NOT_MET
        readings = {
            number: reading
            for number in intake.readings
            if (reading := maybe_reading(messages[number])) is not None
        }
        return _Batch(
            messages,
            intake,
            decoded,
            facts,
            numbers,
            reals,
            received_at_ms,
            ignored_count,
            vehicles,
            subjects,
            readings,
            np.zeros(vehicle_count, np.bool_),
            np.zeros(subject_count, np.bool_),
        )

    def _read_states(self, rows: Column) -> None:
        """Make sure that the states of these subjects have been read from Redis."""
        missing = self._states.not_read(rows)
        if not missing:
            return
        subjects = [self._tables.subjects[row] for row in missing]
        memories = self._recall(subjects)
        for row, subject in zip(missing, subjects, strict=True):
            self._states.set(row, memories[subject])

    def _offers(self, batch: _Batch) -> dict[str, Offer]:
        """Step 4; finds the vehicles that are the reference's, too."""
        if not len(batch.vehicles):
            return {}
        newest = np.full((len(batch.vehicles), len(SIGNALS)), _NOT_MET, np.int32)
        oldest_ms = np.empty(len(batch.vehicles), np.int64)
        self._find_newest(batch.decoded.records, batch.facts, newest, oldest_ms, batch.is_rare)
        newest[batch.is_rare] = _NOT_MET
        offers = build_offers(
            batch.decoded,
            batch.facts,
            batch.numbers,
            batch.reals,
            batch.received_at_ms,
            newest,
            oldest_ms,
        )
        names = self._tables.vehicle_names
        return dict(zip([names[number] for number in batch.vehicles.tolist()], offers, strict=True))

    def _advanced(self, batch: _Batch, incarnations: Incarnations) -> tuple[States, Column, Column]:
        """Step 5: the states after the batch, which of them moved, and how many frames each had already."""
        states, is_odd = self._states.take(batch.subjects)
        batch.is_marked[:] = is_odd
        count = len(batch.subjects)
        is_moved, repeated = np.zeros(count, np.bool_), np.zeros(count, np.int64)
        positions = np.array(batch.intake.first_positions, np.int64)
        of_partition = np.zeros(1 << PARTITION_BITS, np.int64)
        for (topic, partition), incarnation in incarnations.items():
            if topic == _FRAMES:
                of_partition[partition] = self._states.topic_number(incarnation)
        topics = of_partition[positions >> OFFSET_BITS + INDEX_BITS & (1 << PARTITION_BITS) - 1]
        self._advance(
            batch.decoded.data,
            batch.decoded.records,
            batch.decoded.elements,
            batch.facts,
            batch.numbers,
            batch.reals,
            batch.decoded.record_bounds,
            positions,
            topics,
            states.heads,
            states.times,
            states.values,
            states.texts,
            np.empty(_LONGEST_FRAME, np.int64),
            np.zeros(count, np.int64),
            repeated,
            is_moved,
            batch.is_marked,
        )
        return states, is_moved, repeated

    def _by_reference(
        self, batch: _Batch, registry: Registry, incarnations: Incarnations
    ) -> tuple[NewestState, Settled]:
        """Step 6: the newest state and the alert states of all that the batch has out of the ordinary."""
        state = NewestState(self._earliest_ms)
        posted = _vehicles_of(batch.readings.values(), registry)
        if posted:
            names = self._tables.vehicle_names
            batch.is_rare |= np.array(
                [names[number] in posted for number in batch.vehicles.tolist()], np.bool_
            )
        wanted = sorted({*_frames_out_of_the_ordinary(batch), *batch.readings})
        if not wanted:
            return state, Settled([], {})
        self._reference_count += len(wanted) - len(batch.readings)
        origins = origins_of(batch.readings.values(), self._read_origins)
        marked = {self._tables.subjects[row] for row in batch.subjects[batch.is_marked].tolist()}
        observed: list[ObservedFrame] = []
        for number in wanted:
            if (reading := batch.readings.get(number)) is not None:
                found = observe_reading(state, reading, registry, origins)
                marked.update(*(frame.subjects() for frame in found))
                observed += found
            elif (frame := observe_frame(state, batch.messages[number], registry)) is not None:
                observed.append(frame)
        mine = [frame for item in observed if (frame := item.only(marked)).seen]
        return state, settle(mine, self._memories(marked), incarnations)

    def _memories(self, subjects: Collection[Subject]) -> dict[Subject, Memory]:
        """The memories of subjects as they were before the batch."""
        wanted = list(subjects)
        rows = np.array([self._tables.subject(subject) for subject in wanted], np.int64)
        self._read_states(rows)
        states, is_odd = self._states.take(rows)
        documents = self._documents(states)
        return {
            subject: self._states.odd(row)
            if odd
            else Memory(self._states.topic_id(topic), position, decode_state(document))
            for subject, row, odd, (topic, position), document in zip(
                wanted, rows.tolist(), is_odd.tolist(), states.heads.tolist(), documents, strict=True
            )
        }

    def _encoded(self, moved: _Moved) -> dict[Subject, Encoded]:
        """States that moved as Redis keeps them."""
        subjects = self._tables.subjects
        topics = [self._states.topic_id(number).encode() for number in range(self._states.topic_count)]
        return {
            subjects[row]: Encoded(topics[topic], encode_position(position), document)
            for row, (topic, position), document in zip(
                moved.rows.tolist(), moved.states.heads.tolist(), self._documents(moved.states), strict=True
            )
        }

    def _documents(self, states: States) -> Sequence[bytes]:
        count = len(states.heads)
        out, bounds = np.empty(count * STATE_BYTES, np.uint8), np.empty(count + 1, np.int64)
        self._write_states(states.times, states.values, states.texts, out, bounds)
        return texts_of(out, bounds)


def _vehicles_of(readings: Collection[ReadingMessage], registry: Registry) -> set[str]:
    """VINs of the vehicles that readings were posted for."""
    found: set[str] = set()
    for reading in readings:
        if reading.imei is None:
            found.add(reading.reading.vin)
        elif (installation := registry.at(reading.imei, reading.reading.time_ms)) is not None:
            found.add(installation.vin)
    return found


def _frames_out_of_the_ordinary(batch: _Batch) -> list[int]:
    """Numbers of the messages that hold a record of a rare vehicle or a marked subject."""
    if not batch.is_rare.any() and not batch.is_marked.any():
        return []
    vehicles, subjects = batch.facts["vehicle"], batch.facts["subject"]
    is_seen = vehicles >= 0
    is_wanted = is_seen.copy()
    is_wanted[is_seen] = batch.is_rare[vehicles[is_seen]] | batch.is_marked[subjects[is_seen]]
    frames = np.unique(batch.decoded.records["frame"][is_wanted]).tolist()
    return [batch.intake.numbers[frame] for frame in frames]
