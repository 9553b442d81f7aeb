"""The alert rules for the records that raise nothing, in compiled code.

`advance_states` does what `ingest.alerts.memory.settle` does as long as no rule finds anything: it passes
over frames that are in a state already, and moves times and values forward. At the first record of a subject
that might raise something, or that it cannot judge, it marks the subject and leaves it alone: then the
reference takes all of the subject's frames in the batch from the state before it. Marking one too many costs
time, so whatever is in doubt is marked; marking one too few would lose an alert, and tests hold both ways
equal.
"""

from typing import Any, Final

import numba
import numpy as np

from ingest.alerts.packed import (
    CODE_LENGTH,
    FIRST_LEVEL,
    FIRST_ODOMETER,
    FIRST_VIN,
    IS_LOW,
    LEVEL_PLACES,
    NEVER,
    PLACES,
    POSITION,
    SIGNALS,
    TOPIC,
    VIN_LENGTH,
    VIN_TEXTS,
)
from ingest.alerts.packed_writing import write_states
from ingest.alerts.rules import DTC, LOW_FOR_MS, LOW_V, ODOMETER_SLACK_M, RECOVERED_V, VOLTAGE
from ingest.batch.compiling import Bytes, array, compile_kernel, inlined
from ingest.batch.layout import ELEMENT, RECORD, Column, Elements, Records
from ingest.measurement import ODOMETER_COLUMNS

_DTC, _VOLTAGE = PLACES[DTC], PLACES[VOLTAGE]
_LEVEL_COUNT, _ODOMETER_COUNT = len(LEVEL_PLACES), len(ODOMETER_COLUMNS)
_TEXT_VINS: Final = 2
"""VINs that come as text; the third comes in three numbers."""
VIN_IN_PARTS: Final = FIRST_VIN + _TEXT_VINS
PART_NUMBERS: Final = len(SIGNALS)
"""Where the three parts of a VIN begin in `numbers`."""
NUMBER_COUNT: Final = PART_NUMBERS + 3
BATTERY: Final = 1
"""Column of `reals`."""

DTC_NOT_TOLD: Final = -2
DTC_NONE: Final = -1
OBSERVED: Final = np.dtype(
    [
        ("vehicle", np.int32),  # its number in the batch; -1: the record lies in no vehicle or out of time
        ("subject", np.int32),  # of the device in the vehicle, in the batch
        ("dtc", np.int32),  # number of the element that lists trouble codes, DTC_NONE or DTC_NOT_TOLD
        ("observed", np.uint16),  # bit n: `SIGNALS[n]`
        ("tells", np.uint8),  # bit n: signal n of the live state
        ("reals", np.uint8),  # bit n: `reals` has column n; bit n + 4: it is a whole number
        ("source", np.int8),  # odometer that counts, or -1
        ("ignition", np.int8),  # -1: not known
        ("is_alarming", np.bool_),  # the reference has to judge it
        ("is_rare", np.bool_),  # the reference has to measure it
    ],
    align=True,
)
"""What a record says, beside `numbers` ([record, NUMBER_COUNT]: by signal, an odometer's metres, a level, or
where a VIN begins in the data) and `reals`."""

_0, _1 = np.uint64(0), np.uint64(1)
_COMMA: Final = np.uint8(ord(","))
_UPPER: Final = np.frombuffer(bytes(range(256)).upper(), np.uint8)
IS_PADDING: Final = np.array([byte in b"\0 \t\r\n" for byte in range(256)])


@inlined
def _has_same_codes(data: Bytes, start: Any, end: Any, codes: Bytes, count: Any) -> Any:
    """Whether a plain list of trouble codes has just the codes that are known, in whatever order."""
    found, at = 0, start
    while at < end:
        if data[at] == _COMMA or data[at] == 0:
            at += _1
            continue
        length = _0
        while at + length < end and data[at + length] != _COMMA and data[at + length] != 0:
            length += _1
        if length > np.uint64(CODE_LENGTH):
            return False
        place = -1
        for known in range(count):
            first = np.uint64(known * CODE_LENGTH)
            is_same = length == np.uint64(CODE_LENGTH) or codes[first + length] == 0
            for letter in range(length):
                offset = np.uint64(letter)
                is_same = is_same and codes[first + offset] == _UPPER[data[at + offset]]
            if is_same:
                place = known
        if place < 0:
            return False
        found |= 1 << place
        at += length
    return found == (1 << count) - 1


@inlined
def _is_same_vin(data: Bytes, start: Any, known: Bytes, number: Any) -> Any:
    first = np.uint64(VIN_TEXTS + number * VIN_LENGTH)
    is_same = True
    for letter in range(VIN_LENGTH):
        offset = np.uint64(letter)
        is_same = is_same and known[first + offset] == _UPPER[data[start + offset]]
    return is_same


@inlined
def _part_byte(first: Any, second: Any, third: Any, letter: Any) -> Any:
    """A character of a VIN in three numbers of eight, eight and one bytes."""
    if letter < 8:
        return (np.uint64(first) >> np.uint64(56 - 8 * letter)) & np.uint64(0xFF)
    if letter < 16:
        return (np.uint64(second) >> np.uint64(56 - 8 * (letter - 8))) & np.uint64(0xFF)
    return np.uint64(third) & np.uint64(0xFF)


@inlined
def _is_same_split_vin(numbers: Column, known: Bytes) -> Any:
    first = np.uint64(VIN_TEXTS + _TEXT_VINS * VIN_LENGTH)
    is_same = True
    for letter in range(VIN_LENGTH):
        byte = _part_byte(numbers[PART_NUMBERS], numbers[PART_NUMBERS + 1], numbers[PART_NUMBERS + 2], letter)
        is_same = is_same and known[first + np.uint64(letter)] == _UPPER[byte]
    return is_same


@inlined
def _advance(
    data: Bytes,
    elements: Elements,
    fact: Any,
    time_ms: Any,
    numbers: Column,
    volts: Any,
    times: Column,
    values: Column,
    texts: Bytes,
) -> Any:
    """One record into one state; False: the reference has to judge it, and the state means nothing now."""
    observed = fact.observed
    if fact.dtc != DTC_NOT_TOLD and time_ms > times[_DTC]:
        count = values[_DTC] if times[_DTC] != NEVER else 0
        if fact.dtc == DTC_NONE:
            if count != 0:
                return False
        else:
            element = elements[fact.dtc]
            if not _has_same_codes(data, element.raw, element.raw + np.uint64(element.length), texts, count):
                return False
        values[_DTC] = count
        times[_DTC] = time_ms
    if observed >> _VOLTAGE & 1 and time_ms > times[_VOLTAGE]:
        if volts > LOW_V:
            values[_VOLTAGE] = NEVER
            if volts >= RECOVERED_V:
                values[IS_LOW] = 0
        else:
            if values[_VOLTAGE] == NEVER:
                values[_VOLTAGE] = time_ms
            if values[IS_LOW] == 0 and time_ms - values[_VOLTAGE] >= LOW_FOR_MS:
                return False
        times[_VOLTAGE] = time_ms
    for number in range(_LEVEL_COUNT):
        place = FIRST_LEVEL + number
        if observed >> place & 1 and time_ms > times[place]:
            if numbers[place] == 1 and (times[place] == NEVER or values[place] == 0):
                return False
            values[place] = numbers[place]
            times[place] = time_ms
    for number in range(_ODOMETER_COUNT):
        place = FIRST_ODOMETER + number
        if observed >> place & 1 and time_ms > times[place]:
            if times[place] != NEVER and numbers[place] < values[place] - ODOMETER_SLACK_M:
                return False
            values[place] = numbers[place]
            times[place] = time_ms
    for number in range(_TEXT_VINS):
        place = FIRST_VIN + number
        if observed >> place & 1 and time_ms > times[place]:
            if times[place] == NEVER or not _is_same_vin(data, np.uint64(numbers[place]), texts, number):
                return False
            times[place] = time_ms
    if observed >> VIN_IN_PARTS & 1 and time_ms > times[VIN_IN_PARTS]:
        if times[VIN_IN_PARTS] == NEVER or not _is_same_split_vin(numbers, texts):
            return False
        times[VIN_IN_PARTS] = time_ms
    return True


def advance_states(
    data: Bytes,
    records: Records,
    elements: Elements,
    facts: Column,
    numbers: Column,
    reals: Column,
    record_bounds: Column,
    positions: Column,
    topics: Column,
    heads: Column,
    times: Column,
    values: Column,
    texts: Bytes,
    order: Column,
    taken_in: Column,
    repeated: Column,
    is_moved: Column,
    is_marked: Column,
) -> Any:
    """Take the frames of a batch into states.

    Args:
        data: all frames end to end.
        records: entries of `layout.RECORD`.
        elements: entries of `layout.ELEMENT`.
        facts: entries of `OBSERVED`, by record.
        numbers: see `OBSERVED`.
        reals: see `OBSERVED`.
        record_bounds: of each frame, as in `DecodedFrames`.
        positions: stream position of each frame.
        topics: number of the incarnation of each frame's topic.
        heads: of `States`, as the three that follow; the batch's subjects.
        times: moved.
        values: moved.
        texts: only read.
        order: room for the records of the longest frame.
        taken_in: [subject], zeros.
        repeated: [subject], zeros; counts frames that were in the state already.
        is_moved: [subject], all false; set where a frame went in.
        is_marked: [subject]; set where the reference has to take all of the batch's frames.

    Returns:
        0.
    """
    for frame in range(positions.size):
        count = 0
        for number in range(record_bounds[frame], record_bounds[frame + 1]):
            if facts[number].subject < 0:
                continue
            place = count
            while place > 0 and records[order[place - 1]].timestamp_ms > records[number].timestamp_ms:
                order[place] = order[place - 1]
                place -= 1
            order[place] = number
            count += 1
        for turn in range(count):
            number = order[turn]
            fact = facts[number]
            subject = fact.subject
            if is_marked[subject]:
                continue
            if taken_in[subject] != frame + 1 and taken_in[subject] != -(frame + 1):
                if heads[subject, TOPIC] == topics[frame] and heads[subject, POSITION] >= positions[frame]:
                    taken_in[subject] = -(frame + 1)
                    repeated[subject] += 1
                else:
                    taken_in[subject] = frame + 1
                    heads[subject, TOPIC] = topics[frame]
                    heads[subject, POSITION] = positions[frame]
                    is_moved[subject] = True
            if taken_in[subject] < 0:
                continue
            is_marked[subject] = (
                fact.is_alarming
                or fact.is_rare
                or not _advance(
                    data,
                    elements,
                    fact,
                    np.int64(records[number].timestamp_ms),
                    numbers[number],
                    reals[number, BATTERY],
                    times[subject],
                    values[subject],
                    texts[subject],
                )
            )
    return 0


def compile_rules() -> tuple[Any, Any]:
    """`advance_states` and `write_states` as machine code."""
    octets, longs, flags = array(np.uint8), array(np.int64), array(np.bool_)
    table, texts = array(np.int64, 2), array(np.uint8, 2)
    advance = compile_kernel(
        advance_states,
        (
            array(np.uint8, is_readonly=True),
            array(RECORD),
            array(ELEMENT),
            array(OBSERVED),
            table,
            array(np.float64, 2),
            longs,
            longs,
            longs,
            table,
            table,
            table,
            texts,
            longs,
            longs,
            longs,
            flags,
            flags,
        ),
        numba.int64,
    )
    write = compile_kernel(write_states, (table, table, texts, octets, longs), numba.int64)
    return advance, write
