"""A vehicle's records in archived days, with the same values as the other tiers give."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telematics.clock import day_start
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.reading import ArchiveReader
from warehouse.history.cursor import Position
from warehouse.history.hot import Row
from warehouse.history.tiers import Span

_IDENTITY: Final = ("time", "device_id", "event_id", "content_hash")


def fetch(
    reader: ArchiveReader,
    *,
    file: ArchivedFile,
    vin: str,
    window: Span,
    after: Position | None,
    fields: Sequence[str],
    count: int,
) -> list[Row]:
    """The first `count` records of one day within the window after a position. Blocks: run it in a thread.

    Raises:
        NotRestoredError: the day's file must be restored first.
        DamagedError: the file is not what was archived.
        StorageError: the storage does not answer.
    """
    start = max(window.start, day_start(file.day), window.start if after is None else after.time)
    end = min(window.end, day_start(file.day + timedelta(1)))
    if start >= end:
        return []
    return _records(reader.vehicle_rows(file, vin, start, end, [*fields, "dtc_known"]), fields, after, count)


def _records(table: pa.Table, fields: Sequence[str], after: Position | None, count: int) -> list[Row]:
    before = 0
    if after is not None:
        # the table begins at the position's moment: rows of that moment alone can lie at or before it
        moment = pa.scalar(after.time, pa.timestamp("us", "UTC"))
        before = pc.sum(pc.equal(table.column("time"), moment)).as_py() or 0
    table = table.slice(0, before + count)
    positions = [
        Position(*cells)
        for cells in zip(*(table.column(name).to_pylist() for name in _IDENTITY), strict=True)
    ]
    first = 0 if after is None else sum(position <= after for position in positions)
    part = table.slice(first, count)
    cells = [_values(part, name) for name in fields]
    return [
        (position, dict(zip(fields, row, strict=True)))
        for position, row in zip(
            positions[first : first + count], _transposed(cells, part.num_rows), strict=True
        )
    ]


def _transposed(cells: list[list[Any]], count: int) -> list[tuple[Any, ...]]:
    return list(zip(*cells, strict=True)) if cells else [()] * count


def _values(table: pa.Table, name: str) -> list[Any]:
    """A column as the values that TimescaleDB would have given."""
    column = table.column(name)
    if name == "dtc_codes":
        known = table.column("dtc_known").to_pylist()
        return [
            list(codes or ()) if is_known else None
            for codes, is_known in zip(column.to_pylist(), known, strict=True)
        ]
    if name == "raw_data":
        return [json.loads(text) if text else None for text in column.to_pylist()]
    if column.type == pa.float32():
        # the shortest decimal that stands for the single-precision number: 45.2, not 45.20000076293945
        return [None if value is None else float(str(np.float32(value))) for value in column.to_pylist()]
    return list(column.to_pylist())
