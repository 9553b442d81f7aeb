"""A small fleet with its own vehicles and days, written the way the sink writes."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from clickhouse_connect.driver.client import Client
from psycopg.types.json import Jsonb

from telematics.clock import day_start
from telematics.settings import Settings
from warehouse.clients import clickhouse, timescale
from warehouse.columns import COPIED

FIRST_DAY = date(2001, 1, 1)
"""Long before any other test's days, so that retention's "older than" never reaches those."""
DAYS_APART = 40
_numbers = itertools.count(1)
_fleets = itertools.count()

COLUMNS = (
    "time", "device_id", "vin", "lat", "lng", "speed_mph", "heading", "altitude_ft", "odometer",
    "dtc_codes", "event_id", "satellites", "hdop", "is_valid", "ignition", "odometer_gnss_m",
    "odometer_source", "raw_data", "received_at", "content_hash", "stream_position", "fuel_pct", "battery_v",
    "rpm", "movement", "odometer_can_m", "odometer_obd_m",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One record as the sink would write it."""

    time: datetime
    device_id: str
    vin: str | None = None
    lat: float | None = 42.27700000000001
    lng: float | None = -83.7381234567
    speed_mph: float | None = 45.36
    heading: int | None = 90
    altitude_ft: float | None = 801.1
    odometer: float | None = 12345.678901
    dtc_codes: list[str] | None = None
    event_id: int = 0
    satellites: int | None = 7
    hdop: float | None = 0.9
    is_valid: bool | None = True
    ignition: bool | None = None
    odometer_gnss_m: int | None = 19868311
    odometer_source: str | None = "gnss"
    raw_data: dict[str, Any] | None = None
    received_at: datetime = datetime(2001, 1, 1, tzinfo=UTC)
    content_hash: int = 0
    stream_position: int = 0
    fuel_pct: float | None = None
    battery_v: float | None = None
    rpm: int | None = None
    movement: bool | None = None
    odometer_can_m: int | None = None
    odometer_obd_m: int | None = None

    @property
    def identity(self) -> tuple[str, datetime, int, int]:
        return self.device_id, self.time, self.event_id, self.content_hash


@dataclass
class Fleet:
    """Writes rows of its own devices on its own days."""

    settings: Settings
    first_day: date
    hashes: Iterator[int] = field(default_factory=lambda: itertools.count(-3))

    def day(self, number: int = 0) -> date:
        assert number < DAYS_APART - 10, "another fleet's days begin there"
        return self.first_day + timedelta(number)

    def install(
        self,
        device_id: str | None = None,
        *,
        origin: str = "live",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[str, str]:
        """A device (a new one unless named) in a new vehicle; returns IMEI and VIN."""
        number = next(_numbers)
        imei = device_id or f"86{number:013d}"
        vin = f"WHTEST{number:011d}"
        with timescale(self.settings) as connection:
            connection.execute("insert into vehicles (vin, origin) values (%s, %s)", [vin, origin])
            connection.execute("insert into devices (imei) values (%s) on conflict do nothing", [imei])
            connection.execute(
                "insert into device_installations (imei, vin, installed_at, removed_at) "
                "values (%s, %s, "
                "coalesce(%s::timestamptz, '-infinity'), coalesce(%s::timestamptz, 'infinity'))",
                [imei, vin, since, until],
            )
        return imei, vin

    def let_write(self, vin: str) -> str:
        """A new partner with a grant to post for the vehicle; returns the device id of what it posts."""
        client_id = f"pc_{next(_numbers):020d}"
        with timescale(self.settings) as connection:
            connection.execute(
                "insert into partners (client_id, name, kind, scopes, secret_hash)"
                " values (%(client_id)s, %(client_id)s, 'dealer', '{telemetry:write}', '')",
                {"client_id": client_id},
            )
            connection.execute(
                "insert into grants (client_id, vin, scopes, purpose)"
                " values (%s, %s, '{telemetry:write}', 'test')",
                [client_id, vin],
            )
        return f"partner:{client_id}"

    def make_rows(
        self,
        device_id: str,
        day: date,
        count: int,
        *,
        start_s: float = 0.0,
        step_s: float = 1.0,
        **overrides: Any,
    ) -> list[Row]:
        """Rows of one day, a second apart, each with a hash and a position of its own."""
        rows = []
        for index in range(count):
            moment = day_start(day) + timedelta(seconds=start_s + index * step_s)
            number = next(self.hashes)
            defaults = {"received_at": moment, "content_hash": number, "stream_position": number + 3}
            rows.append(Row(moment, device_id, **{**defaults, **overrides}))
        return rows

    def write(self, rows: Sequence[Row]) -> int:
        """Write rows as the sink does, duplicates left out; returns how many were new."""
        with timescale(self.settings, autocommit=False) as connection:
            return write_rows(connection, rows)


def write_rows(connection: psycopg.Connection, rows: Iterable[Row]) -> int:
    """The sink's transaction: rows by COPY, then the version of every day that got one."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("create temporary table incoming (like telemetry) on commit drop")
        with cursor.copy(f"copy incoming ({', '.join(COLUMNS)}) from stdin") as copy:
            for row in rows:
                values = [getattr(row, name) for name in COLUMNS]
                copy.write_row([Jsonb(value) if isinstance(value, dict) else value for value in values])
        cursor.execute(
            f"""
            with written as (
                insert into telemetry ({", ".join(COLUMNS)}) select {", ".join(COLUMNS)} from incoming
                on conflict do nothing returning (time at time zone 'UTC')::date as day
            ), touched as (
                insert into hot_days select day, 1, count(*), now() from written group by day order by day
                on conflict (day) do update set version = hot_days.version + 1,
                    row_count = hot_days.row_count + excluded.row_count, last_written_at = now()
            )
            select count(*) from written
            """
        )
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def fleet(stack: Settings) -> Fleet:
    """Devices, vehicles and days that no other test uses."""
    return Fleet(stack, FIRST_DAY + timedelta(DAYS_APART * next(_fleets)))


@pytest.fixture
def warm(stack: Settings) -> Iterator[Client]:
    """A client that may write to ClickHouse."""
    with clickhouse(stack) as client:
        yield client


@pytest.fixture
def hot(stack: Settings) -> Iterator[psycopg.Connection]:
    """A connection in autocommit to TimescaleDB."""
    with timescale(stack) as connection:
        yield connection


@pytest.fixture
def warm_day(warm: Client) -> Callable[[date], list[tuple[Any, ...]]]:
    """What ClickHouse holds of a day, every column, in the order of identity; first time, device, vehicle."""
    first = ("time", "device_id", "vin", "origin")
    names = (*first, *(column.name for column in COPIED if column.name not in first), "dtc_known")

    def rows(day: date) -> list[tuple[Any, ...]]:
        result = warm.query(
            f"select {', '.join(names)} from analytics.telemetry where toDate(time, 'UTC') = {{day:Date}} "
            "order by device_id, time, event_id, content_hash",
            parameters={"day": day.isoformat()},
        )
        return [tuple(row) for row in result.result_rows]

    return rows


def with_changes(row: Row, **changes: Any) -> Row:
    """The row with some columns changed."""
    return replace(row, **changes)
