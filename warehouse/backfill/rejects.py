"""Rows that were set aside, as the ledger keeps them: file, number, reason and the row itself as JSON."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from warehouse.backfill.rules import Codes, Reason, reason_of

_LONGEST_TEXT: Final = 200


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
    for place, row in zip(places, rows.take(pa.array(places)).to_pylist(), strict=True):
        content = {name: _plain(value) for name, value in row.items()}
        yield Reject(file, offset + int(place) + 1, reason_of(int(codes[place])), json.dumps(content))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # PostgreSQL's jsonb holds no NUL
    return str(value)[:_LONGEST_TEXT].replace("\x00", "\ufffd")
