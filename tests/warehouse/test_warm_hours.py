"""Hours stay right when their day left the hot tier: late rows, a corrected vehicle, an emptied day."""

import json
import os
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest.registry.moving import Move, move_device
from orchestration.dbt_assets import day_flags
from orchestration.dbt_manifest import DBT, PROJECT
from orchestration.home import environment_of
from telematics.clock import day_start, utc_now
from telematics.settings import Settings
from tests.warehouse.conftest import Fleet
from warehouse.clients import timescale
from warehouse.day_load import load_days
from warehouse.retention import drop_merged_days
from warehouse.warm_hours import count_hours

pytestmark = pytest.mark.integration
DAY = timedelta(1)


def run_dbt(settings: Settings, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """dbt on the hot tier's target."""
    command = [
        str(DBT), *arguments, "--target", "timescale", "--project-dir", str(PROJECT), "--profiles-dir",
        str(PROJECT), "--target-path", str(folder), "--log-path", str(folder),
    ]  # fmt: skip
    return subprocess.run(
        command,
        env=environment_of(settings, os.environ),
        cwd=PROJECT,
        check=False,
        stdout=subprocess.DEVNULL,
    )


def build_hours(settings: Settings, day: date, folder: Path) -> None:
    """As the asset does it: what ClickHouse alone holds is counted, then dbt builds."""
    count_hours(settings, day, day + DAY)
    assert run_dbt(settings, folder, "run", *day_flags(day, day + DAY)).returncode == 0


def hours(connection: psycopg.Connection[Any], imei: str) -> list[tuple[Any, ...]]:
    """Hour of the day, vehicle, rows, mean speed and miles."""
    return connection.execute(
        "select extract(hour from bucket at time zone 'UTC')::int, vin, data_points, "
        "round(avg_speed::numeric, 3)::float, round(miles_driven::numeric, 3)::float "
        "from telemetry_hourly where device_id = %s order by 1, 2",
        [imei],
    ).fetchall()


def test_late_rows_and_corrections_reach_the_hours_of_days_that_are_no_longer_hot(
    fleet: Fleet, hot: psycopg.Connection[Any], tmp_path: Path
):
    imei, vin = fleet.install(since=day_start(fleet.day(0)))
    day, settings = fleet.day(1), fleet.settings
    fleet.write(
        fleet.make_rows(imei, day, 2, start_s=3600, vin=vin, odometer=100.0, speed_mph=30.0)
        + fleet.make_rows(imei, day, 1, start_s=3700, vin=vin, odometer=101.5, speed_mph=60.0)
    )
    load_days(settings, day, day + DAY, "in time")
    build_hours(settings, day, tmp_path)
    in_time = [(1, vin, 3, 40.0, 1.5)]
    assert hours(hot, imei) == in_time
    assert day in drop_merged_days(settings, day + 8 * DAY, 7).dropped

    # nine days late: one record beside others of its hour, one in an hour of its own
    fleet.write(
        fleet.make_rows(imei, day, 1, start_s=3800, vin=vin, odometer=103.0, speed_mph=80.0)
        + fleet.make_rows(imei, day, 1, start_s=7200, vin=vin, odometer=104.0, speed_mph=10.0)
    )
    load_days(settings, day, day + DAY, "late")
    build_hours(settings, day, tmp_path)
    with_late = [(1, vin, 4, 50.0, 3.0), (2, vin, 1, 10.0, 0.0)]
    assert hours(hot, imei) == with_late
    build_hours(settings, day, tmp_path)
    assert hours(hot, imei) == with_late, "counted once, however often"

    other = vin[:-1] + "X"
    with timescale(settings, autocommit=False) as connection:
        move_device(connection, Move(imei, other, day_start(day) + timedelta(hours=2)), "test", utc_now())
        connection.commit()
    load_days(settings, day, day + DAY, "moved", only_dirty=True)
    build_hours(settings, day, tmp_path)
    assert hours(hot, imei) == [(1, vin, 4, 50.0, 3.0), (2, other, 1, 10.0, 0.0)]


def test_every_promise_of_the_hours_can_break(fleet: Fleet, hot: psycopg.Connection[Any], tmp_path: Path):
    """One planted fault each, in hours of a device of its own."""
    imei, _ = fleet.install()
    build_hours(fleet.settings, fleet.day(1), tmp_path)
    hour = day_start(fleet.day(1))
    faults = {
        "one_row_per_telemetry_hourly": [(hour, imei, 1.0, 1.0, 1)] * 2,
        "holds_telemetry_hourly_bucket": [(hour + timedelta(minutes=30), imei, 1.0, 1.0, 1)],
        "in_range_telemetry_hourly_avg_speed": [(hour + timedelta(hours=1), imei, 999.0, 1.0, 1)],
        "in_range_telemetry_hourly_miles_driven": [(hour + timedelta(hours=2), imei, 1.0, -1.0, 1)],
        "in_range_telemetry_hourly_data_points": [(hour + timedelta(hours=3), imei, 1.0, 1.0, 0)],
        "not_null_telemetry_hourly_device_id": [(hour + timedelta(hours=4), None, 1.0, 1.0, 1)],
        "not_null_telemetry_hourly_bucket": [(None, imei, 1.0, 1.0, 1)],
    }
    with hot.cursor() as cursor:
        cursor.executemany(
            "insert into telemetry_hourly (bucket, device_id, avg_speed, miles_driven, data_points) "
            "values (%s, %s, %s, %s, %s)",
            [row for rows in faults.values() for row in rows],
        )
    try:
        done = run_dbt(fleet.settings, tmp_path, "test", "--exclude-resource-type", "unit_test")
    finally:
        hot.execute("delete from telemetry_hourly where device_id = %s or device_id is null", [imei])
    assert done.returncode == 1
    results = json.loads((tmp_path / "run_results.json").read_text())["results"]
    broken = {result["unique_id"].split(".")[2] for result in results if result["status"] == "fail"}
    for name in faults:
        assert any(test.startswith(name) for test in broken), f"{name} did not notice its fault"


def test_only_days_that_clickhouse_alone_serves_are_counted(fleet: Fleet):
    imei, _ = fleet.install()
    dropped, still_hot = fleet.day(1), fleet.day(2)
    fleet.write([row for day in (dropped, still_hot) for row in fleet.make_rows(imei, day, 1)])
    load_days(fleet.settings, dropped, still_hot + DAY, "hours")
    assert count_hours(fleet.settings, dropped, still_hot + DAY) == []
    drop_merged_days(fleet.settings, dropped + 8 * DAY, 7)
    assert count_hours(fleet.settings, dropped, still_hot + DAY) == [dropped]
