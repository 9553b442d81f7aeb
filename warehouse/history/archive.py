"""Vehicles' records in archived days, with the same values as the other tiers give."""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telematics.clock import day_start
from warehouse.archive import ledger
from warehouse.archive.errors import NotRestoredError
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.reading import ArchiveReader
from warehouse.history.cursor import Position
from warehouse.history.fields import Row, position_of
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Span, Tier

_IDENTITY: Final = ("vin", "time", "device_id", "event_id", "content_hash")
_VEHICLE_DAYS: Final = 16
"""Vehicles times days that are read at once: what is found of them is in memory at the same time."""

RowsOf = Callable[[pa.Table, int], list[Row]]
"""The first so many rows of an answer, of records in order."""


class Found(NamedTuple):
    """What the archive has of a window."""

    rows: list[Row]
    pending: list[tuple[date, Sequence[str]]]
    """Days that must be restored first, which was asked for, each with the vehicles that it was read for."""


async def fetch(
    stores: HistoryStores,
    vins: Sequence[str],
    window: Span,
    after: datetime | None,
    columns: Sequence[str],
    rows_of: RowsOf,
    count: int,
) -> Found:
    """The window's first `count` rows in order of VIN and time.

    Args:
        stores: the connections.
        vins: the vehicles, in order.
        window: which days.
        after: records from before are of no interest.
        columns: what `rows_of` needs.
        rows_of: makes rows of records.
        count: how many.

    Raises:
        DamagedError: a file is not what was archived.
        UnavailableError: the storage does not answer.
    """
    start = window.start if after is None else max(window.start, after)
    last = (window.end - timedelta(microseconds=1)).date()
    async with stores.timescale() as connection:
        files = await ledger.serving_files(connection, start.date(), last)
    found = Found([], [])
    size = max(1, _VEHICLE_DAYS // max(1, len(files)))
    for at in range(0, len(vins), size):
        if len(found.rows) >= count:
            break
        some = vins[at : at + size]
        await _fetch_some(
            stores, some, files, Span(window.tier, start, window.end), columns, rows_of, count, found
        )
    if found.pending:
        async with stores.timescale() as connection:
            await ledger.ask_for(connection, {day for day, _ in found.pending}, "history")
    return found


async def _fetch_some(
    stores: HistoryStores,
    vins: Sequence[str],
    files: Sequence[ArchivedFile],
    window: Span,
    columns: Sequence[str],
    rows_of: RowsOf,
    count: int,
    found: Found,
) -> None:
    """Add the rows of some vehicles to what was found; of one alone no more days than needed are read."""
    rows: list[Row] = []
    wanted = count - len(found.rows)
    for file in files:
        if len(vins) == 1 and len(rows) >= wanted:
            break
        start = max(window.start, day_start(file.day))
        end = min(window.end, day_start(file.day + timedelta(1)))
        read_day = partial(_rows_of_day, file, vins, start, end, columns, rows_of, wanted)
        try:
            rows += await stores.archive(read_day)
        except NotRestoredError:
            found.pending.append((file.day, vins))
    rows.sort(key=position_of)
    found.rows.extend(rows[:wanted])


def _rows_of_day(
    file: ArchivedFile,
    vins: Sequence[str],
    start: datetime,
    end: datetime,
    columns: Sequence[str],
    rows_of: RowsOf,
    count: int,
    reader: ArchiveReader,
) -> list[Row]:
    return rows_of(reader.vehicle_rows(file, vins, start, end, columns), count)


def columns_of_records(fields: Sequence[str]) -> tuple[str, ...]:
    """What `records_of` needs."""
    return (*fields, "dtc_known")


def records_of(fields: Sequence[str], after: Position | None) -> RowsOf:
    """Makes records with these fields, of those after a position."""
    return partial(_records, fields, after)


def _records(fields: Sequence[str], after: Position | None, table: pa.Table, count: int) -> list[Row]:
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
    cells = [values(part, name) for name in fields]
    return [
        Row(position, Tier.ARCHIVE, dict(zip(fields, row, strict=True)))
        for position, row in zip(
            positions[first : first + count], _transposed(cells, part.num_rows), strict=True
        )
    ]


def _transposed(cells: list[list[Any]], count: int) -> list[tuple[Any, ...]]:
    return list(zip(*cells, strict=True)) if cells else [()] * count


def values(table: pa.Table, name: str) -> list[Any]:
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
    return plain(column)


def plain(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Cells of a column; single-precision numbers by the shortest decimal that stands for them.

    45.2, not 45.20000076293945.
    """
    if column.type == pa.float32():
        return [None if value is None else float(str(np.float32(value))) for value in column.to_pylist()]
    return list(column.to_pylist())
