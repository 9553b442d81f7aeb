"""Moments out of a column: text, typed times or counts, as milliseconds since the epoch in UTC."""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.backfill.telemetry import values
from warehouse.backfill.telemetry.mapping import TimeColumn, TimeForm
from warehouse.backfill.telemetry.values import Integers, Mask

_RFC3339: Final = r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d(:?\d\d)?)$"
_LOCAL: Final = r"^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?$"
_BEYOND_MICROSECONDS: Final = r"(\.\d{6})\d+"
_UTC_US: Final = pa.timestamp("us", "UTC")
_LARGEST_MS: Final = 8.64e15
"""What a count of milliseconds may be: 270,000 years, far inside 64 bits."""


def moments(
    columns: Mapping[str, pa.Array | pa.ChunkedArray], column: TimeColumn, nulls: Collection[str]
) -> tuple[Integers, Mask, Mask]:
    """Milliseconds since the epoch, which of them are there, and which local times do not exist.

    A part of a millisecond is cut off: that is what every tier keeps.
    """
    array = values.plain(columns[column.column])
    left_out = np.zeros(len(array), np.bool_)
    if column.form is TimeForm.SINCE:
        found, is_there = _counted(array, column, nulls)
    else:
        found, is_there, left_out = _dated(array, column, nulls)
    if column.plus is not None:
        more = values.numbers(columns[column.plus.column], nulls)
        fits = more.is_there & (np.abs(np.where(more.is_there, more.values, 0)) < _LARGEST_MS)
        found = found + np.rint(np.where(fits, more.values, 0) * column.plus.unit_ms).astype(np.int64)
        is_there = is_there & fits
    return found, is_there, left_out


def _counted(array: pa.Array, column: TimeColumn, nulls: Collection[str]) -> tuple[Integers, Mask]:
    if pa.types.is_timestamp(array.type):
        return np.zeros(len(array), np.int64), np.zeros(len(array), np.bool_)
    counts = values.numbers(array, nulls)
    ms = np.where(counts.is_there, counts.values, 0) * column.unit_ms
    fits = counts.is_there & (np.abs(ms) < _LARGEST_MS)
    return np.rint(np.where(fits, ms, 0)).astype(np.int64) + column.since_ms, fits


def _dated(array: pa.Array, column: TimeColumn, nulls: Collection[str]) -> tuple[Integers, Mask, Mask]:
    nowhere = np.zeros(len(array), np.bool_)
    if pa.types.is_timestamp(array.type):
        if array.type.tz is None and column.form is TimeForm.LOCAL:
            return _of_zone(_in_microseconds(array, None), column)
        if array.type.tz is None:
            return np.zeros(len(array), np.int64), nowhere, nowhere
        return *_milliseconds(_in_microseconds(array, "UTC")), nowhere
    if not values.is_text(array.type):
        return np.zeros(len(array), np.int64), nowhere, nowhere
    text, _ = values.texts(array, nulls)
    if column.form is TimeForm.LOCAL:
        return _of_zone(_local(text, column.pattern), column)
    return *_milliseconds(_parsed(text, _RFC3339, _UTC_US)), nowhere


def _in_microseconds(array: pa.Array, zone: str | None) -> pa.Array:
    if array.type.unit == "ns":
        return array.cast(pa.timestamp("us", zone), safe=False)
    found, _ = values.cast_each(array.cast(pa.timestamp(array.type.unit, zone)), pa.timestamp("us", zone))
    return found


def _parsed(text: pa.Array, pattern: str, kind: pa.DataType) -> pa.Array:
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        fits = pc.match_substring_regex(text, pattern)
        text = pc.if_else(fits, text, pa.scalar(None, pa.string()))
        text = pc.utf8_upper(pc.replace_substring_regex(text, _BEYOND_MICROSECONDS, r"\1"))
        found, _ = values.cast_each(text, kind)
        return found


def _local(text: pa.Array, pattern: str | None) -> pa.Array:
    if pattern is None:
        return _parsed(text, _LOCAL, pa.timestamp("us"))
    return pc.strptime(text, format=pattern, unit="us", error_is_null=True)


def _of_zone(local: pa.Array, column: TimeColumn) -> tuple[Integers, Mask, Mask]:
    found = pc.assume_timezone(
        local,
        column.zone,
        ambiguous="earliest" if column.is_first_of_two else "latest",
        nonexistent="earliest",
    )
    # a moment that clocks leave out in spring comes back as another one
    left_out = values.mask_of(pc.not_equal(pc.local_timestamp(found), local))
    ms, is_there = _milliseconds(found)
    return ms, is_there & ~left_out, left_out


def _milliseconds(moments: pa.Array) -> tuple[Integers, Mask]:
    is_there = values.there(moments)
    us = pc.fill_null(moments.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return np.floor_divide(us, 1000), is_there
