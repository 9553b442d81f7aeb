"""The statement that merges a part of a day: hot rows as they cross, and what ClickHouse holds already."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

from psycopg import sql

from telematics.clock import day_start
from warehouse import columns, stored

MAX_PORTIONS: Final = 8
"""Most portions of a day, a power of two: each reads the day's whole chunk for its rows."""
_MOMENT: Final = "%Y-%m-%d %H:%M:%S"
_SETTINGS: Final = {
    "max_partitions_per_insert_block": 0,  # a slice's block may hold every day of the slice
    "max_insert_block_size": 262_144,  # 270 MB at most instead of 780 MB, at the same speed
    "min_insert_block_size_rows": 262_144,
    "max_bytes_before_external_sort": 1 << 29,  # what is larger than a slice all the same merges on disk
    "join_use_nulls": 0,
}


def portions(first: date, until: date, rows: int, most_rows: int) -> Iterator[tuple[datetime, datetime]]:
    """The time from `first` to `until`, cut into equal parts, so that each has about `most_rows` of the rows.

    A row's identity has its time in it, so parts can be merged one after the other. They are whole seconds:
    ClickHouse's copy of a time lacks what is less than a millisecond, and must not lie in another part.
    """
    count = min(MAX_PORTIONS, 1 << (rows // most_rows).bit_length())
    start, end = day_start(first), day_start(until)
    edges = [start + (end - start) // count * place for place in range(count)]
    yield from zip(edges, [*edges[1:], end], strict=True)


def hot_rows(start: datetime, end: datetime) -> sql.Composed:
    """The query that reads hot rows; its literal bounds let the planner leave out other chunks."""
    return sql.SQL(
        "select " + columns.copy_select() + " from telemetry where time >= {} and time < {}"
    ).format(sql.Literal(start), sql.Literal(end))


def kept_rows(table: str, start: datetime, end: datetime) -> str:
    """The same rows of a ClickHouse table, as `merge_statement` takes them."""
    return f"{table} where time >= '{start:{_MOMENT}}' and time < '{end:{_MOMENT}}'"


def merge_statement(table: str, installations: str, kept: Sequence[str]) -> str:
    """The insert into a staging table, with the hot rows to come as its data.

    Of two rows with one identity the one received first stays, of the very same reception the hot one.

    Args:
        table: staging table.
        installations: table of the installations, which VIN and origin are resolved by.
        kept: from `kept_rows`, what to merge the hot rows with.
    """
    names = ", ".join([*stored.stored_names(), *columns.RESOLVED])
    wire = columns.wire_structure().replace("'", "\\'")
    rows = f"select {columns.read_select()}, 0 as is_kept from input('{wire}') as wire"
    order = ""
    if kept:
        rows += "".join(
            f" union all select {columns.kept_select()}, 1 as is_kept from {source}" for source in kept
        )
        identity = ", ".join(f"day.{name}" for name in columns.IDENTITY)
        order = f"order by {identity}, received_at, stream_position, is_kept limit 1 by {identity}"
    # the asof join finds the last installation that began before the record; it may have ended since
    return f"""
        insert into {table} ({names})
        {stored.stored_select("day")},
               if(day.time < i.removed_at, i.vin, '') as vin,
               if(day.time < i.removed_at, i.origin, 'live') as origin
        from ({rows}) as day
        asof left join {installations} as i
            on i.owner = day.{columns.OWNER} and toDateTime64(day.time, 6, 'UTC') >= i.installed_at
        {order}
        settings {", ".join(f"{name} = {value}" for name, value in _SETTINGS.items())}
    """
