"""Telemetry from files, straight into the tiers of its days (`piston backfill PATH`), exactly once.

errors      what refuses a load
loading     the steps of a load and their order; looking: a dry run; telling: how far they are
mapping     what a foreign history's columns are; fields: what ours are
sources     the files: a path, a folder, S3
reading     a file to judged rows; csv_rows, ndjson_rows, parquet_rows over lines and batches
rows        columns converted, judged and hashed, by values, times, vehicles and identity
rejects     why rows are set aside
ledger      the load in PostgreSQL; staged: its table in ClickHouse; hot: its rows in TimescaleDB
report      what it says about itself
"""

from warehouse.backfill.telemetry.errors import LostRowsError, MappingError, SourceError
from warehouse.backfill.telemetry.loading import Request, Step, backfill_telemetry
from warehouse.backfill.telemetry.looking import dry_run
from warehouse.backfill.telemetry.report import TelemetryReport

__all__ = [
    "LostRowsError",
    "MappingError",
    "Request",
    "SourceError",
    "Step",
    "TelemetryReport",
    "backfill_telemetry",
    "dry_run",
]
