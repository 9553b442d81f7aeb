"""One truth, two ways into the warehouse: dbt finds in a car's records what its history's file says.

The records are decoded and measured as the sink does it and lie in the sandbox as the day load leaves them;
the file is what `piston simulate fleet --out FOLDER` writes for the same cars. All in between is dbt's.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from simulation.fleet.history import write_history
from simulation.fleet.source import fleet_sources
from telematics.settings import Settings
from telematics.units import miles_from_metres
from tests.dbt_project.conftest import Sandbox, open_sandbox
from tests.simulation.fleet.derivation import rows_of

pytestmark = pytest.mark.integration

FLEET: dict[str, Any] = {"seed": 5, "vehicles": 4, "days": 16, "end_day": date(2024, 2, 10)}
Days = dict[tuple[str, date], dict[str, Any]]
VOLTAGES = ("crank_min_v", "crank_mean_v", "rest_v", "rest_min_v", "charge_v", "charge_min_v")


def _telemetry() -> Iterator[dict[str, object]]:
    """Every record as `analytics.telemetry` holds it."""
    for source in fleet_sources(**FLEET):
        device = source.device
        for number, (at, row) in enumerate(rows_of(source)):
            codes = row.get("dtc_codes")
            yield {
                "time": at, "device_id": device.imei, "vin": device.vin, "origin": device.origin.value,
                "event_id": row["event_id"], "ignition": row.get("ignition"),
                "battery_v": row.get("battery_v"), "ambient_c": row.get("ambient_c"),
                "odometer": miles_from_metres(row["odometer_gnss_m"]), "odometer_source": "gnss",
                "odometer_gnss_m": row["odometer_gnss_m"],
                "dtc_codes": codes or [], "dtc_known": codes is not None, "raw_data": "",
                # long after the day: what is simulated goes by the modelled lag, not by this
                "received_at": at + timedelta(days=300), "content_hash": number, "stream_position": number,
            }  # fmt: skip


@pytest.fixture(scope="module")
def built(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with open_sandbox(stack, tmp_path_factory.mktemp("two_outputs")) as sandbox:
        sandbox.insert("telemetry", list(_telemetry()))
        done = sandbox.dbt(
            "build", "--select", "+component_day_signals", "--indirect-selection", "cautious",
            "--exclude-resource-type", "unit_test",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        yield sandbox


def _from_records(sandbox: Sandbox) -> Days:
    found = sandbox.client.query(f"select * from {sandbox.database}.component_day_signals")
    rows = [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
    return {(row["vin"], row["date"]): row for row in rows}


@pytest.fixture(scope="module")
def from_file(tmp_path_factory: pytest.TempPathFactory) -> Days:
    folder = tmp_path_factory.mktemp("history") / "fleet"
    write_history(folder, **FLEET)
    rows = pq.read_table(folder / "component_day_signals.parquet").to_pylist()
    return {(row["vin"], row["date"]): row for row in rows}


def test_dbt_finds_in_the_records_what_the_file_says(built: Sandbox, from_file: Days):
    from_records = _from_records(built)
    assert from_records.keys() == from_file.keys()
    assert sum(row["crank_count"] for row in from_file.values()) > 50
    for key, expected in from_file.items():
        row = from_records[key]
        assert row["source"] == "telemetry"
        known_at = expected["known_at"].replace(tzinfo=None)
        for name, value in (expected | {"known_at": known_at}).items():
            if isinstance(value, float):
                # the tracker's millivolts reach ClickHouse as 32-bit floats
                value = pytest.approx(value, abs=2e-6 if name in VOLTAGES else 1e-3)
            assert row[name] == value, (key[1], name)
