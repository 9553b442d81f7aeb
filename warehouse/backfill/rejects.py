"""Rows that were set aside, as the ledger keeps them: file, number, reason and the row itself as JSON."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.backfill.rules import Codes, Reason, reason_of

_LONGEST_TEXT: Final = 200
_DAY_MS: Final = 86_400_000
_FIRST_DAY: Final = -719_162
"""0001-01-01, in days since 1970."""
_LAST_DAY: Final = 2_932_896
"""9999-12-31."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One row of a file that was not loaded."""

    file: str
    row_number: int
    """The first row is 1."""
    reason: Reason
    row: str
    """JSON; what JSON cannot hold is text."""


def rejects_of(file: str, rows: pa.RecordBatch | pa.Table, codes: Codes, offset: int) -> Iterator[Reject]:
    """The rows with a code other than 0.

    Args:
        file: their file's name.
        rows: rows of it.
        codes: what `rules` says of them.
        offset: rows of the file before these.
    """
    places = np.flatnonzero(codes)
    for place, row in zip(places, _readable(rows.take(pa.array(places))).to_pylist(), strict=True):
        content = {name: _plain(value) for name, value in row.items()}
        yield Reject(file, offset + int(place) + 1, reason_of(int(codes[place])), json.dumps(content))


def _readable(rows: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
    """The rows with moments and days as numbers, where Python's own types could not hold one of them.

    A file may say any 64-bit count of milliseconds and any 32-bit count of days; Python ends with 9999.
    """
    for place, field in enumerate(rows.schema):
        column = rows.column(place)
        if pa.types.is_timestamp(field.type) and not _within_years(column, pa.int64(), _DAY_MS):
            rows = rows.set_column(place, field.name, column.cast(pa.int64()))
        elif pa.types.is_date32(field.type) and not _within_years(column, pa.int32(), 1):
            rows = rows.set_column(place, field.name, column.cast(pa.int32()))
    return rows


def _within_years(column: pa.Array | pa.ChunkedArray, kind: pa.DataType, per_day: int) -> bool:
    limits = pc.min_max(column.cast(kind)).as_py()
    if limits["min"] is None:
        return True
    return bool(_FIRST_DAY * per_day <= limits["min"] and limits["max"] < _LAST_DAY * per_day)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # PostgreSQL's jsonb holds no NUL
    return str(value)[:_LONGEST_TEXT].replace("\x00", "\ufffd")
