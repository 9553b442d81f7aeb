"""What the alert rules know of each device in each vehicle, as arrays for compiled code.

The same states as `ingest.alerts.memory.Memory`, one row each: nearly every record only moves a time forward,
and doing that in Python costs more than all else that is done with the record. A state that does not fit
(more trouble codes than there is room for, a value of another kind) is kept as it is, and is always the
reference's business.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final

import numpy as np

from ingest.alerts.memory import Memory
from ingest.alerts.rules import DTC, LEVELS, ODOMETER, READ_VIN, VOLTAGE, Known
from ingest.batch.layout import Column
from ingest.measurement import ODOMETER_COLUMNS
from telematics import vin as vin_form

VIN_IDS: Final = (256, 325, 233)
"""AVL ids that name the signals of a VIN read from the bus."""
SIGNALS: Final = (
    DTC,
    VOLTAGE,
    *LEVELS,
    *(f"{ODOMETER}:{source.value}" for source in ODOMETER_COLUMNS),
    *(f"{READ_VIN}:{avl_id}" for avl_id in VIN_IDS),
)
"""Columns of `times` and `values`, and bits of what a record observed."""
PLACES: Final = {name: place for place, name in enumerate(SIGNALS)}
LEVEL_PLACES: Final = tuple(PLACES[name] for name in LEVELS)
FIRST_LEVEL, FIRST_ODOMETER = LEVEL_PLACES[0], PLACES[f"{ODOMETER}:{next(iter(ODOMETER_COLUMNS)).value}"]
FIRST_VIN: Final = PLACES[f"{READ_VIN}:{VIN_IDS[0]}"]
IS_LOW: Final = len(SIGNALS)
"""Column of `values`: whether the battery is low; `values` of the voltage itself is since when."""

NEVER: Final = -(2**63)
"""A time that is not known."""
MAX_CODES: Final = 8
CODE_LENGTH: Final = 16
VIN_LENGTH: Final = 17
VIN_TEXTS: Final = MAX_CODES * CODE_LENGTH
"""Where the VINs begin in `texts`; trouble codes stand before them."""
TEXT_LENGTH: Final = VIN_TEXTS + len(VIN_IDS) * VIN_LENGTH
TOPIC, POSITION = 0, 1
"""Columns of `heads`."""

_FIRST_ROOM: Final = 64
_CODE: Final = re.compile(rf"[A-Z0-9-]{{1,{CODE_LENGTH}}}")
_END: Final = 2**63


class Status(IntEnum):
    """Where the state of a subject is."""

    NOT_READ = 0
    PACKED = 1
    ODD = 2
    """It does not fit, and is kept beside the arrays."""


@dataclass(slots=True)
class States:
    """Rows side by side.

    Attributes:
        heads: [subject, 2]: number of the topic's incarnation, and packed position of the last frame.
        times: [subject, signal], or NEVER.
        values: [subject, signal or IS_LOW]: trouble codes: how many; voltage: low since when, or NEVER;
            levels: 0 or 1; odometers: metres.
        texts: [subject, TEXT_LENGTH]: trouble codes filled up with zeros, and VINs.
    """

    heads: Column
    times: Column
    values: Column
    texts: Column

    @staticmethod
    def make(count: int) -> "States":
        """Rows in which nothing is known."""
        values = np.zeros((count, len(SIGNALS) + 1), np.int64)
        values[:, PLACES[VOLTAGE]] = NEVER
        return States(
            heads=np.zeros((count, 2), np.int64),
            times=np.full((count, len(SIGNALS)), NEVER, np.int64),
            values=values,
            texts=np.zeros((count, TEXT_LENGTH), np.uint8),
        )

    def take(self, rows: Column) -> "States":
        """Copies of rows."""
        return States(self.heads[rows], self.times[rows], self.values[rows], self.texts[rows])

    def put(self, rows: Column, others: "States") -> None:
        """Set rows."""
        self.heads[rows], self.times[rows] = others.heads, others.times
        self.values[rows], self.texts[rows] = others.values, others.texts

    def pack(self, row: int, topic: int, memory: Memory) -> bool:
        """Set a row to a memory; False if that does not fit, and then the row means nothing."""
        if not 0 <= memory.position + 1 < _END:
            return False
        self.heads[row] = topic, memory.position
        self.times[row] = NEVER
        self.values[row] = 0
        self.values[row, PLACES[VOLTAGE]] = NEVER
        return all(self._pack_signal(row, name, known) for name, known in memory.state.items())

    def _pack_signal(self, row: int, name: str, known: Known) -> bool:
        place, value = PLACES.get(name), known.value
        if place is None or type(known.time_ms) is not int or not 0 <= known.time_ms < _END:
            return False
        self.times[row, place] = known.time_ms
        if name == DTC:
            return self._pack_codes(row, value)
        if name == VOLTAGE:
            return self._pack_voltage(row, value)
        if place >= FIRST_VIN:
            return self._pack_vin(row, place - FIRST_VIN, value)
        kind = bool if place in LEVEL_PLACES else int
        if type(value) is not kind or not -_END <= value < _END:
            return False
        self.values[row, place] = value
        return True

    def _pack_codes(self, row: int, codes: Any) -> bool:
        if not isinstance(codes, (list, tuple)) or len(codes) > MAX_CODES:
            return False
        if not all(isinstance(code, str) and _CODE.fullmatch(code) for code in codes):
            return False
        if list(codes) != sorted(set(codes)):
            return False
        self.values[row, PLACES[DTC]] = len(codes)
        packed = b"".join(code.encode("ascii").ljust(CODE_LENGTH, b"\0") for code in codes)
        self.texts[row, : len(packed)] = np.frombuffer(packed, np.uint8)
        return True

    def _pack_voltage(self, row: int, value: Any) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            return False
        low_since, is_low = value
        if type(is_low) is not bool or not (
            low_since is None or (type(low_since) is int and 0 <= low_since < _END)
        ):
            return False
        self.values[row, PLACES[VOLTAGE]] = NEVER if low_since is None else low_since
        self.values[row, IS_LOW] = is_low
        return True

    def _pack_vin(self, row: int, number: int, value: Any) -> bool:
        if not isinstance(value, str) or not vin_form.is_well_formed(value):
            return False
        start = VIN_TEXTS + number * VIN_LENGTH
        self.texts[row, start : start + VIN_LENGTH] = np.frombuffer(value.encode("ascii"), np.uint8)
        return True


class StateTable:
    """The states of all subjects, by number, that were read from Redis or have been written there."""

    def __init__(self) -> None:
        self._states = States.make(_FIRST_ROOM)
        self._status = np.zeros(_FIRST_ROOM, np.uint8)
        self._odd: dict[int, Memory] = {}
        self._topics: list[str] = [""]

    def forget(self) -> None:
        """Read everything anew."""
        self._status[:] = Status.NOT_READ
        self._odd.clear()

    def topic_number(self, topic_id: str) -> int:
        """The number of a topic's incarnation in `heads`."""
        try:
            return self._topics.index(topic_id)
        except ValueError:
            self._topics.append(topic_id)
            return len(self._topics) - 1

    def topic_id(self, number: int) -> str:
        """The incarnation of that number."""
        return self._topics[number]

    @property
    def topic_count(self) -> int:
        """How many incarnations were met."""
        return len(self._topics)

    def not_read(self, rows: Column) -> list[int]:
        """Those of these subjects whose state has to be read from Redis."""
        self._make_room(int(rows.max(initial=0)))
        found: list[int] = rows[self._status[rows] == Status.NOT_READ].tolist()
        return found

    def set(self, row: int, memory: Memory) -> None:
        """A state that is in Redis."""
        self._make_room(row)
        if self._states.pack(row, self.topic_number(memory.topic_id), memory):
            self._status[row] = Status.PACKED
            self._odd.pop(row, None)
        else:
            self._status[row] = Status.ODD
            self._odd[row] = memory

    def take(self, rows: Column) -> tuple[States, Column]:
        """Copies of rows that have been read, and whether each is odd."""
        return self._states.take(rows), self._status[rows] == Status.ODD

    def put(self, rows: Column, states: States) -> None:
        """States that are in Redis now, of subjects that are not odd."""
        self._states.put(rows, states)

    def odd(self, row: int) -> Memory:
        """The memory of a subject that is odd."""
        return self._odd[row]

    def _make_room(self, row: int) -> None:
        before = len(self._status)
        if row < before:
            return
        larger, rows = States.make(2 * row), np.arange(before)
        larger.put(rows, self._states)
        status = np.zeros(2 * row, np.uint8)
        status[:before] = self._status
        self._states, self._status = larger, status


def texts_of(out: Column, bounds: Column) -> Sequence[bytes]:
    """The pieces of a buffer between bounds."""
    whole = out[: bounds[-1]].tobytes()
    places = bounds.tolist()
    return [whole[start:end] for start, end in pairwise(places)]
