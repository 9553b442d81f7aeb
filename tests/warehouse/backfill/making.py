"""Folders of history: a few rows, whole or with one fault."""

import hashlib
import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.backfill.schema import SCHEMAS, SERVICE_RECORDS, SIGNALS, VEHICLES

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
Row = dict[str, Any]
_numbers = itertools.count(1)


def new_vin() -> str:
    """A simulated vehicle that no other test uses."""
    return f"0SMBACKF{next(_numbers):09d}"


def make_vehicle(vin: str, **overrides: Any) -> Row:
    return {
        "vin": vin, "origin": "simulated", "make": "Make", "model": None, "model_year": 2019, **overrides,
    }  # fmt: skip


def make_day(vin: str, day: date = DAY, **overrides: Any) -> Row:
    """A day with two starts, known six hours after its end."""
    return {
        "vin": vin, "date": day, "origin": "simulated",
        "known_at": datetime.combine(day, time(6), UTC) + timedelta(1),
        "start_count": 2, "crank_count": 2, "crank_min_v": 9.5, "crank_mean_v": 9.75, "rest_v": 12.6,
        "rest_min_v": 12.5, "charge_v": 14.2, "charge_min_v": 14.1, "ambient_c": 5.0, "engine_on_s": 1800.0,
        "short_trip_count": 1, "distance_m": 20_000.0, "dtc_codes": ["P0562"], "dtc_known": True, **overrides,
    }  # fmt: skip


def make_record(vin: str, performed_on: date = DAY, **overrides: Any) -> Row:
    """A replacement that was written down four days later."""
    return {
        "vin": vin, "component": "battery", "kind": "replacement", "performed_on": performed_on,
        "recorded_at": datetime.combine(performed_on, time(10), UTC) + timedelta(4),
        "odometer_mi": 50_000.0, "reason": "failure", **overrides,
    }  # fmt: skip


@dataclass
class History:
    """Rows of the three files."""

    vehicles: list[Row] = field(default_factory=list)
    days: list[Row] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)

    def tables(self) -> dict[str, pa.Table]:
        rows = {VEHICLES: self.vehicles, SIGNALS: self.days, SERVICE_RECORDS: self.records}
        return {
            # the files' own schemas allow nulls everywhere, as a foreign writer's would
            name: pa.Table.from_pylist(found, schema=pa.schema([(f.name, f.type) for f in SCHEMAS[name]]))
            for name, found in rows.items()
        }

    def write(self, folder: Path) -> Path:
        """The folder, whole."""
        write_files(folder, self.tables())
        return folder


def write_files(folder: Path, tables: dict[str, pa.Table]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / name, compression="zstd")
    write_manifest(folder, {name: len(table) for name, table in tables.items()})


def write_manifest(folder: Path, row_counts: dict[str, int]) -> None:
    """A manifest that fits the files as they are."""
    files = {
        name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(), "rows": rows}
        for name, rows in row_counts.items()
    }
    (folder / "manifest.json").write_text(json.dumps({"generator": "test", "files": files}))


def make_history(days: int = 3) -> History:
    """Two vehicles with some days each; one battery was replaced."""
    first, second = new_vin(), new_vin()
    return History(
        vehicles=[make_vehicle(first), make_vehicle(second, model="Model")],
        days=[make_day(vin, DAY + timedelta(n)) for vin in (first, second) for n in range(days)],
        records=[make_record(first, DAY - timedelta(400))],
    )
