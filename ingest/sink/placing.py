"""Where each record of a batch goes, in compiled code: its installation, its identity, whether it is a row.

Same rules as the reference: a time that `ingest.device_time` does not accept is no row, and of two records
with one identity (device, time, event, content) the first is the row.
"""

from typing import Any, Final

import numba
import numpy as np

from ingest.batch.compiling import Bytes, array, compile_kernel, inlined
from ingest.batch.layout import ELEMENT, RECORD, Column, Elements, Records
from ingest.batch.wire import xxh64
from ingest.device_time import END_TIME_MS
from ingest.measurement import ODOMETER_COLUMNS
from ingest.sink.columns import FIXED_COLUMNS, POSTGRES_EPOCH_MS
from ingest.sink.element_rules import RULE, Kind

FRAME: Final = np.dtype(
    [
        ("received_at", np.int64),  # microseconds since 2000
        ("first_position", np.int64),  # stream position of record 0
        ("device", np.int32),
    ],
    align=True,
)
"""What the rows of one frame share."""

DEVICE: Final = np.dtype(
    [
        ("family", np.int32),  # first index of `ElementRules.lookup`
        ("installation_start", np.int32),  # its installations, oldest first
        ("installation_end", np.int32),
    ],
    align=True,
)

INSTALLATION: Final = np.dtype(
    [
        ("start_ms", np.int64),  # included
        ("end_ms", np.int64),  # excluded
        ("source", np.int32),  # place in SOURCES of the one odometer that counts, or NOT_CHOSEN
    ],
    align=True,
)

SOURCES: Final = tuple(ODOMETER_COLUMNS)
"""Odometer sources, best first."""

NOT_CHOSEN: Final = -1
NOT_INSTALLED: Final = -1
DUPLICATE: Final = -2
NOT_STORABLE: Final = -3

_END_MS: Final = np.uint64(END_TIME_MS)
_INTEGER: Final = int(Kind.INTEGER)
ODOMETER_PLACES: Final = np.array(
    [[column.name for column in FIXED_COLUMNS].index(name) for name in ODOMETER_COLUMNS.values()], np.int64
)
_EMPTY: Final = -1


@inlined
def _installation_at(device: Any, installations: Column, time_ms: Any) -> Any:
    """The installation that holds at a moment, or NOT_INSTALLED."""
    for number in range(device.installation_end - 1, device.installation_start - 1, -1):
        installation = installations[number]
        if installation.start_ms <= time_ms:
            return number if time_ms < installation.end_ms else NOT_INSTALLED
    return NOT_INSTALLED


def place_records(
    data: Bytes,
    records: Records,
    frames: Column,
    devices: Column,
    installations: Column,
    slots: Column,
    hashes: Column,
    placements: Column,
    earliest_ms: Any,
    ahead_ms: Any,
) -> Any:
    """Fill `hashes` and `placements`.

    Args:
        data: all frames end to end.
        records: entries of `layout.RECORD`.
        frames: entries of `FRAME`, by number of the frame.
        devices: entries of `DEVICE`.
        installations: entries of `INSTALLATION`, those of one device side by side.
        slots: room for a hash table: a power of two that is at least twice the number of records.
        hashes: filled with the content hash of each record.
        placements: filled with each record's installation, or with one of the three negative numbers.
        earliest_ms: of `DeviceTimes`.
        ahead_ms: of `DeviceTimes`.

    Returns:
        Records that are rows.
    """
    slots[:] = _EMPTY
    mask = np.uint64(slots.size - 1)
    row_count = 0
    for number in range(records.size):
        record = records[number]
        latest_ms = np.uint64(frames[record.frame].received_at // 1000 + POSTGRES_EPOCH_MS + ahead_ms)
        if (
            record.timestamp_ms < earliest_ms
            or record.timestamp_ms >= _END_MS
            or record.timestamp_ms > latest_ms
        ):
            placements[number] = NOT_STORABLE
            continue
        digest = xxh64(data, np.uint64(record.body_start), np.uint64(record.body_end))
        hashes[number] = np.int64(digest)
        device = frames[record.frame].device
        slot = (digest ^ np.uint64(device)) & mask
        placements[number] = 0
        while slots[slot] != _EMPTY:
            other = records[slots[slot]]
            if (
                hashes[slots[slot]] == hashes[number]
                and frames[other.frame].device == device
                and other.timestamp_ms == record.timestamp_ms
                and other.event_io_id == record.event_io_id
            ):
                placements[number] = DUPLICATE
                break
            slot = (slot + np.uint64(1)) & mask
        if placements[number] == DUPLICATE:
            continue
        slots[slot] = number
        placements[number] = _installation_at(devices[device], installations, np.int64(record.timestamp_ms))
        row_count += 1
    return row_count


@inlined
def value_number(rule: Any, raw: Any) -> Any:
    """The element's number with its sign."""
    shift = rule.sign_shift
    return np.int64(raw) << shift >> shift


@inlined
def is_error_code(rule: Any, sentinels: Column, number: Any) -> Any:
    """Whether the device reports an error instead of a value."""
    is_found = False
    for place in range(rule.sentinel_start, rule.sentinel_end):
        is_found = is_found or sentinels[place] == number
    return is_found


def find_odometers(
    records: Records,
    elements: Elements,
    frames: Column,
    devices: Column,
    placements: Column,
    lookup: Column,
    rules: Column,
    sentinels: Column,
    sent: Column,
) -> Any:
    """Mark in `sent` [installation, source] which odometers the rows of each installation have.

    Returns:
        0.
    """
    for number in range(records.size):
        if placements[number] < 0:
            continue
        record = records[number]
        family = devices[frames[record.frame].device].family
        for place in range(record.element_start, record.element_end):
            element = elements[place]
            rule = rules[lookup[family, element.id, element.width]]
            for source in range(ODOMETER_PLACES.size):
                if rule.kind == _INTEGER and rule.column == ODOMETER_PLACES[source]:
                    value = value_number(rule, element.raw)
                    sent[placements[number], source] |= not is_error_code(rule, sentinels, value)
    return 0


def compile_placing() -> tuple[Any, Any]:
    """`place_records` and `find_odometers` as machine code."""
    shared = array(RECORD), array(ELEMENT), array(FRAME), array(DEVICE)
    records, _, frames, devices = shared
    place = compile_kernel(
        place_records,
        (
            array(np.uint8, is_readonly=True),
            records,
            frames,
            devices,
            array(INSTALLATION),
            array(np.int32),
            array(np.int64),
            array(np.int32),
            numba.uint64,
            numba.int64,
        ),
        numba.int64,
    )
    find = compile_kernel(
        find_odometers,
        (
            *shared,
            array(np.int32),
            array(np.uint8, 3),
            array(RULE),
            array(np.int64),
            array(np.bool_, 2),
        ),
        numba.int64,
    )
    return place, find
