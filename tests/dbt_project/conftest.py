"""A sandbox database in ClickHouse with a small fleet's records, and dbt to build its marts."""

import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from orchestration.dbt_manifest import DBT, PROJECT
from orchestration.home import environment_of
from telematics.settings import Settings
from tests.warehouse.planting import insert_rows
from warehouse.clients import clickhouse

FIRST, UNTIL = date(2010, 1, 30), date(2010, 2, 3)
"""The fleet's days: they lie in two months, so that a rebuild of one must keep the other's."""

MARTS = (
    "component_day_signals",
    "dtc_episodes",
    "ftr_component_days",
    "fuel_and_supply_days",
    "harsh_events",
    "int_device_days_counted",
    "int_dtc_days_seen",
    "int_engine_starts_measured",
    "int_trip_days_measured",
    "odometer_readings",
    "trips",
    "vehicle_analytics",
    "vehicle_day_completeness",
    "vehicle_local_days",
)
RAW_TABLES = (
    "telemetry",
    "loaded_component_day_signals",
    "backfill_loads",
    "vehicles",
    "service_records",
)
"""What dbt reads and does not build."""
COLUMNS = (
    "time", "device_id", "vin", "origin", "speed_mph", "lat", "lng", "event_id", "raw_data", "is_valid",
    "odometer_can_m", "odometer_source", "harsh_kind", "dtc_codes", "dtc_known", "ignition", "battery_v",
    "received_at", "content_hash", "stream_position",
)  # fmt: skip

Row = tuple[object, ...]


@dataclass(frozen=True)
class Sandbox:
    """One database, moved away from `analytics` by the variable that analysts use for it."""

    settings: Settings
    database: str
    client: Client
    target: Path

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """A dbt command line and its environment."""
        environment = environment_of(self.settings, os.environ)
        environment |= {"PISTON_ANALYTICS_DATABASE": self.database}
        return [
            str(DBT), "--no-use-colors", *arguments, "--project-dir", str(PROJECT), "--profiles-dir",
            str(PROJECT), "--target", "clickhouse", "--target-path", str(self.target), "--log-path",
            str(self.target),
        ], environment  # fmt: skip

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dbt to its end."""
        command, environment = self.command(*arguments)
        return subprocess.run(
            command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
        )

    def build(self, first: date, until: date) -> None:
        """Rebuild the models' days; fails the test if dbt fails."""
        done = self.dbt("run", "--event-time-start", str(first), "--event-time-end", str(until))
        assert done.returncode == 0, done.stdout

    def insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Put rows into any raw table."""
        if table == "telemetry":
            insert_rows(self.client, rows, f"{self.database}.telemetry")
            return
        names = list(rows[0])
        self.client.insert(
            f"{self.database}.{table}", [[row[name] for name in names] for row in rows], column_names=names
        )

    def add(self, rows: Sequence[Row]) -> None:
        """Put records into the warm tier's table."""
        self.insert("telemetry", [dict(zip(COLUMNS, row, strict=True)) for row in rows])

    def rows(self, table: str) -> list[Row]:
        """A table's content in a fixed order."""
        found = self.client.query(f"select * from {self.database}.{table} order by all")
        return [tuple(row) for row in found.result_rows]

    def content(self) -> Mapping[str, list[Row]]:
        """Everything that dbt built."""
        return {table: self.rows(table) for table in MARTS}


def record(vin: str, moment: datetime, number: int, **overrides: object) -> Row:
    """One record of a car at 36 mph with a CAN odometer that counts 161 m in ten seconds."""
    values = {
        "time": moment, "device_id": f"35{number % 10:013d}", "vin": vin, "origin": "live", "speed_mph": 36.0,
        "lat": 42.2, "lng": -83.7 + number * 1e-5, "event_id": 0, "raw_data": "", "is_valid": True,
        "odometer_can_m": 1_000_000 + number * 161, "odometer_source": "can", "harsh_kind": None,
        "dtc_codes": [], "dtc_known": True, "ignition": True, "battery_v": 14.1,
        "received_at": moment, "content_hash": number, "stream_position": number, **overrides,
    }  # fmt: skip
    return tuple(values[name] for name in COLUMNS)


def drive(vin: str, device: str, started: datetime, minutes: int, number: int) -> list[Row]:
    """A trip with a record every ten seconds, which the device opens and closes (AVL 250).

    The ignition goes off with the last record, so the next drive is a start from 12.5 V.
    """
    count = minutes * 6 + 1
    rows = []
    for index in range(count):
        mark = {0: '{"250": 1}', count - 1: '{"250": 0}'}.get(index)
        is_on = index < count - 1
        rows.append(
            record(
                vin, started + timedelta(seconds=10 * index), number + index, device_id=device,
                event_id=250 if mark else 0, raw_data=mark or "", ignition=is_on,
                battery_v=14.1 if index and is_on else 12.5,
            )
        )  # fmt: skip
    return rows


def stop(vin: str, device: str, started: datetime, number: int) -> list[Row]:
    """A second's record each from 36 mph to a standstill in 4 s: 0.41 g."""
    speeds = (36.0, 36.0, 36.0, 27.0, 18.0, 9.0, 0.0)
    return [
        record(
            vin, started + timedelta(seconds=index), number + index, device_id=device, speed_mph=speed,
            event_id=250 if index in (0, 6) else 0,
            raw_data={0: '{"250": 1}', 6: '{"250": 0}'}.get(index, ""),
        )
        for index, speed in enumerate(speeds)
    ]  # fmt: skip


def small_fleet() -> list[Row]:
    """Two cars, four days: a drive every morning; one drives over each midnight, one stops hard at noon."""
    rows: list[Row] = []
    for offset in range((UNTIL - FIRST).days):
        day = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(offset)
        for car in (1, 2):
            vin, device = f"WHDBT{car:012d}", f"3500000000001{car:02d}"
            number = car * 1_000_000 + offset * 10_000
            rows += drive(vin, device, day + timedelta(hours=8), 20, number)
            if car == 1 and offset < 3:
                rows += drive(vin, device, day + timedelta(hours=23, minutes=50), 20, number + 5_000)
            if car == 2:
                rows += stop(vin, device, day + timedelta(hours=12), number + 7_000)
    return rows


@contextmanager
def open_sandbox(stack: Settings, target: Path) -> Iterator[Sandbox]:
    """An empty database with the raw tables that dbt reads; dropped at the end."""
    with clickhouse(stack) as client:
        database = f"analytics_sandbox_{uuid.uuid4().hex[:8]}"
        client.command(f"create database {database}")
        try:
            for table in RAW_TABLES:
                client.command(f"create table {database}.{table} as analytics.{table}")
            yield Sandbox(stack, database, client, target)
        finally:
            client.command(f"drop database {database}")


@pytest.fixture(scope="session")
def sandbox(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The small fleet's sandbox, built once over all its days."""
    with open_sandbox(stack, tmp_path_factory.mktemp("dbt")) as made:
        made.add(small_fleet())
        built = made.dbt("build", "--event-time-start", str(FIRST), "--event-time-end", str(UNTIL))
        assert built.returncode == 0, built.stdout
        yield made
