"""Hours of days that left the hot tier, counted again from ClickHouse for dbt's `telemetry_hourly`.

The hourly aggregate is made from hot rows. When they are gone, a record that comes late or a corrected
pairing of device and vehicle shows in ClickHouse alone: the few hot rows of such a day say nothing about its
hours. So the hours of these days are counted where the whole day is, and handed to dbt as a table of its own.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from clickhouse_connect.driver.client import Client
from psycopg import Connection

from telematics.clock import day_start
from telematics.settings import Settings
from warehouse import clients, warm_days

_COUNTED: Final = f"""
    select toStartOfHour(time) as bucket, device_id, nullIf(vin, '') as vin, avg(speed_mph) as avg_speed,
           max(odometer) - min(odometer) as miles_driven, count() as data_points
    from {warm_days.TELEMETRY}
    where {warm_days.WITHIN_DAYS}
    group by bucket, device_id, vin
"""
_COLUMNS: Final = "bucket, device_id, vin, avg_speed, miles_driven, data_points"


def count_hours(settings: Settings, first: date, until: date) -> list[date]:
    """Count the hours of those days `first` (inclusive) to `until` (exclusive) that ClickHouse alone serves.

    Replaces what was counted of these days before; may be repeated and interrupted at any time.

    Returns:
        The days that were counted. Hot days are not among them, nor days that only the archive holds.

    Raises:
        UnavailableError: a store does not answer; the hours stay as they were.
    """
    with clients.timescale(settings, autocommit=False) as connection:
        days = _served_by_clickhouse(connection, first, until)
        if days:
            with clients.clickhouse(settings) as client:
                for day in days:
                    _replace(connection, client, day)
            _note(connection, days)
        connection.commit()
    return days


def _served_by_clickhouse(connection: Connection, first: date, until: date) -> list[date]:
    rows = connection.execute(
        "select day from day_loads where day >= %s and day < %s and hot_dropped_at is not null "
        "and warm_dropped_at is null order by day",
        [first, until],
    ).fetchall()
    return [day for (day,) in rows]


def _replace(connection: Connection, client: Client, day: date) -> None:
    tomorrow = day + timedelta(1)
    connection.execute(
        "delete from warm_hours where bucket >= %s and bucket < %s", [day_start(day), day_start(tomorrow)]
    )
    hours = client.query(
        _COUNTED, parameters=warm_days.day_bounds(day, tomorrow), tz_mode="aware"
    ).result_rows
    with connection.cursor() as cursor, cursor.copy(f"copy warm_hours ({_COLUMNS}) from stdin") as copy:
        for hour in hours:
            copy.write_row(hour)


def _note(connection: Connection, days: Sequence[date]) -> None:
    connection.execute(
        "insert into warm_hour_days (day, counted_at) select unnest(%s::date[]), now() "
        "on conflict (day) do update set counted_at = excluded.counted_at",
        [list(days)],
    )
