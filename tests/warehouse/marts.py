"""dbt on the session's own warehouse, for whole days of one test's vehicles."""

import os
import subprocess
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from orchestration.dbt_assets import day_flags
from orchestration.dbt_manifest import DBT, PROJECT
from orchestration.home import environment_of
from telematics.settings import Settings

TABLES = (
    "telemetry", "component_day_signals", "dtc_episodes", "ftr_component_days", "fuel_and_supply_days",
    "harsh_events", "int_device_days_counted", "int_dtc_days_seen", "int_engine_starts_measured",
    "int_trip_days_measured", "odometer_readings", "trips", "vehicle_analytics", "vehicle_day_completeness",
    "vehicle_local_days",
)  # fmt: skip
"""The warm tier and everything that dbt makes of it."""


def build(settings: Settings, first: date, until: date, folder: Path, target: str = "clickhouse") -> None:
    """The command that the asset gives, for the days `first` (inclusive) to `until` (exclusive)."""
    command = [
        str(DBT), "run", "--target", target, "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
        "--target-path", str(folder), "--log-path", str(folder), *day_flags(first, until),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        env=environment_of(settings, os.environ),
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def content(client: Client, vins: Collection[str]) -> Mapping[str, list[tuple[Any, ...]]]:
    """Every row of these vehicles, in all tables."""
    return {
        table: [
            tuple(row)
            for row in client.query(
                f"select * from analytics.{table} where vin in {{vins:Array(String)}} order by all",
                parameters={"vins": sorted(vins)},
            ).result_rows
        ]
        for table in TABLES
    }
