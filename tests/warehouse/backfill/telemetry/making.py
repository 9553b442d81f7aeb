"""Histories of a few rows in every format, and what the tiers make of them."""

import gzip
import itertools
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from telematics.settings import Settings
from warehouse.backfill.telemetry import Request, TelemetryReport, backfill_telemetry

NOW = datetime(2031, 1, 1, tzinfo=UTC)
"""Long after any test's days, so that none of them is in the hot week."""
FOREIGN = """
source = "{source}"
[time]
column = "when"
format = "epoch_ms"
[vehicle]
vin = "car"
[columns]
lat = "y"
lng = "x"
speed_mph = {{ column = "speed[km/h]", unit = "km/h" }}
battery_v = {{ column = "volt", unit = "mV" }}
odometer_can_m = {{ column = "km", unit = "km" }}
coolant_c = "coolant"
dtc_codes = "codes"
"""
Row = dict[str, Any]
_numbers = itertools.count(1)
SCHEMA = pa.schema(
    [
        ("when", pa.int64()),
        ("car", pa.string()),
        ("y", pa.float64()),
        ("x", pa.float64()),
        ("speed[km/h]", pa.float64()),
        ("volt", pa.int64()),
        ("km", pa.float64()),
        ("coolant", pa.float64()),
        ("codes", pa.string()),
        ("driver", pa.string()),
    ]
)


def new_vin() -> str:
    """A vehicle that no other test uses; its check digit is wrong, as of the blueprint's sample."""
    return f"WBACKF{next(_numbers):011d}"


def new_source() -> str:
    """A name for a history of the test's own."""
    return f"test-{next(_numbers)}"


def make_rows(vin: str, day: date, count: int, **overrides: Any) -> list[Row]:
    """A drive through a foreign logger, a row a second from noon."""
    start = int(day_start(day).timestamp() * 1000) + 43_200_000
    return [
        {
            "when": start + 1000 * n, "car": vin, "y": 42.277 + n / 1e5, "x": -83.738 - n / 1e5,
            "speed[km/h]": 50.5 + n / 10, "volt": 14_120 + n, "km": 12_345.678 + n / 100,
            "coolant": 80.4, "codes": "P0300; P0420" if n == 0 else None, "driver": "somebody", **overrides,
        }
        for n in range(count)
    ]  # fmt: skip


def write_mapping(path: Path, source: str, more: str = "") -> Path:
    """The mapping of such rows, with whatever stands at its top before."""
    path.write_text(more + FOREIGN.format(source=source))
    return path


def as_table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write_csv(path: Path, rows: list[Row]) -> Path:
    pa_csv.write_csv(as_table(rows), path)
    return path


def write_file(path: Path, rows: list[Row]) -> Path:
    """The rows in the format of the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = as_table(rows)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=1000)
        return path
    if ".csv" in path.suffixes:
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(table, sink)
        content = sink.getvalue().to_pybytes()
    else:
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zst":
        content = pa.compress(content, "zstd", asbytes=True)
    path.write_bytes(content)
    return path


@dataclass
class World:
    """Both stores, and what they hold of a few vehicles."""

    settings: Settings
    warm: Client
    hot: psycopg.Connection

    def load(self, path: Path | str, mapping: Path | None = None, **keywords: Any) -> TelemetryReport:
        options = {name: keywords.pop(name) for name in ("register_as", "again") if name in keywords}
        request = Request(str(path), mapping, **options)
        return backfill_telemetry(self.settings, request, **{"clock": lambda: NOW, **keywords})

    def register(self, vin: str) -> str:
        self.hot.execute("insert into vehicles (vin, origin) values (%s, 'live')", [vin])
        return vin

    def rows(self, *vins: str, columns: str = "* except (received_at)") -> list[tuple[Any, ...]]:
        """What ClickHouse has of the vehicles."""
        return self.warm.query(
            f"select {columns} from analytics.telemetry where vin in {{vins:Array(String)}} "
            "order by vin, time, content_hash",
            parameters={"vins": list(vins)},
        ).result_rows

    def count(self, *vins: str) -> int:
        return len(self.rows(*vins, columns="time"))

    def rejects(self, report: TelemetryReport) -> list[tuple[Any, ...]]:
        return self.hot.execute(
            "select file, row_number, reason, detail from telemetry_backfill_rejects "
            "where load_id = %s order by 1, 2, 3",
            [report.load_id],
        ).fetchall()

    def ledger(self, day: date) -> tuple[Any, ...] | None:
        return self.hot.execute(
            "select row_count, hot_dropped_at is not null, warm_dropped_at is not null, run_id "
            "from day_loads where day = %s",
            [day],
        ).fetchone()

    def staging_tables(self) -> int:
        found = self.warm.query(
            "select count() from system.tables where database = 'analytics' and name like 'backfill\\_\\_%'"
        )
        return int(found.result_rows[0][0])


def days_after(first: date, count: int) -> list[date]:
    return [first + timedelta(n) for n in range(count)]
