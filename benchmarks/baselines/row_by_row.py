"""Storing records as one writes it on the first day: COPY, row by row, and all IO elements as JSONB.

Recipe of the reference figure (7.2 µs a row on the client, for the writing alone): psycopg's `write_row` with
`Jsonb(dict)`, eleven columns beside it, text format. The documents are made by orjson, because with the
standard library's json the writing alone takes twice the reference. The table has the same daily chunks and
the same kind of unique index as ours.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from psycopg.types.json import Jsonb

Row = tuple[Any, ...]

TABLE = """
create table row_by_row (
    time timestamptz not null, device_id text not null, received_at timestamptz not null,
    lat double precision, lng double precision, speed real, heading smallint, altitude real,
    satellites smallint, priority smallint, event_id integer not null, io jsonb not null
)
"""
HYPERTABLE = """
select create_hypertable('row_by_row', by_range('time', interval '1 day'), create_default_indexes => false)
"""
INDEX = "create unique index on row_by_row (device_id, time, event_id)"
_COPY = """
copy row_by_row (time, device_id, received_at, lat, lng, speed, heading, altitude, satellites, priority,
    event_id, io) from stdin
"""


def create_table(connection: psycopg.Connection[Any]) -> None:
    """The table, empty."""
    for statement in (TABLE, HYPERTABLE, INDEX):
        connection.execute(statement)
    connection.commit()


def build_rows(frames: Iterable[tuple[str, list[dict[str, Any]]]], received_at: datetime) -> list[Row]:
    """The rows of many frames.

    Args:
        frames: IMEI and records of each, as `naive_decoder` makes them.
        received_at: of all.
    """
    return [
        (
            datetime.fromtimestamp(record["timestamp_ms"] / 1000, UTC),
            device_id,
            received_at,
            record["latitude"] / 10_000_000,
            record["longitude"] / 10_000_000,
            record["speed"] / 1.609344,
            record["angle"],
            record["altitude"] / 0.3048,
            record["satellites"],
            record["priority"],
            record["event_id"],
            {str(avl_id): raw for avl_id, raw in record["io"].items()},
        )
        for device_id, records in frames
        for record in records
    ]


def store(connection: psycopg.Connection[Any], rows: Iterable[Row]) -> None:
    """One COPY and one commit for the rows of many frames."""
    with connection.transaction(), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row((*row[:-1], Jsonb(row[-1], dumps=orjson.dumps)))
