"""Rows of days that TimescaleDB serves: written there as the sink does, duplicates left out.

So whoever reads the day finds them at once, hours are built of them, and the day's loads and retention treat
them like any other row. Only days of the hot week come this way, and older ones that are still hot.
"""

from datetime import date, timedelta
from typing import Final

from clickhouse_connect.driver.client import Client
from psycopg import Connection

from telematics.settings import Settings
from warehouse import clients, columns

_CHUNK_BYTES: Final = 1 << 20
_READ: Final = {
    "dtc_codes": "if(dtc_known, concat('{', arrayStringConcat(dtc_codes, ','), '}'), null)",
    "raw_data": "nullIf(raw_data, '')",
}
_SETTINGS: Final = {"max_block_size": 65_536}


def write_day(settings: Settings, client: Client, table: str, day: date) -> int:
    """Copy a staged day into the hypertable; returns how many of its rows were not there yet.

    One transaction: rows, and the day's version, which tells loads that there is something new.

    Raises:
        UnavailableError: a store does not answer; nothing of the day was written.
    """
    names = [column.name for column in columns.COPIED]
    selected = ", ".join(f"{_READ.get(name, name)} as {name}_" for name in names)
    query = (
        f"select {selected}, vin from {table} "
        f"where time >= '{day} 00:00:00' and time < '{day + timedelta(1)} 00:00:00'"
    )
    with clients.timescale(settings, autocommit=False) as connection:
        connection.execute("create temporary table incoming (like telemetry) on commit drop")
        with (
            client.raw_stream(query, fmt="TabSeparated", settings=_SETTINGS) as stream,
            connection.cursor() as cursor,
            cursor.copy(f"copy incoming ({', '.join(names)}, vin) from stdin") as copy,
        ):
            while chunk := stream.read(_CHUNK_BYTES):
                copy.write(chunk)
        return _take_in(connection, day, names)


def _take_in(connection: Connection, day: date, names: list[str]) -> int:
    """Move the rows into the hypertable, each with the vehicle that its device sat in."""
    listed = ", ".join(names)
    written = connection.execute(
        f"""
        insert into telemetry ({listed}, vin)
        select {", ".join(f"n.{name}" for name in names)}, coalesce(nullif(n.vin, ''), i.vin)
        from incoming as n
        left join device_installations as i
            on i.imei = n.device_id and n.time >= i.installed_at and n.time < i.removed_at
        on conflict do nothing
        """
    ).rowcount
    if written:
        connection.execute(
            "insert into hot_days values (%s, 1, %s, now()) on conflict (day) do update set "
            "version = hot_days.version + 1, row_count = hot_days.row_count + excluded.row_count, "
            "last_written_at = now()",
            [day, written],
        )
    return written
