"""A dry run: everything is read and judged as a load would, and nothing is written."""

import time
from collections import Counter
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from ingest.device_time import DeviceTimes
from telematics.clock import Clock, epoch_ms, utc_now, utc_today
from telematics.settings import Settings
from warehouse import clients
from warehouse.backfill.telemetry import ledger
from warehouse.backfill.telemetry.loading import SHOWN_EXAMPLES, Request, opened
from warehouse.backfill.telemetry.reading import FileReading
from warehouse.backfill.telemetry.rejects import Rejects
from warehouse.backfill.telemetry.report import ColumnReport, Example, TelemetryReport, estimated_bytes
from warehouse.backfill.telemetry.rows import Limits
from warehouse.backfill.telemetry.telling import Telling
from warehouse.backfill.telemetry.vehicles import Vehicles
from warehouse.progress import Progress, silent


def dry_run(
    settings: Settings, request: Request, *, clock: Clock = utc_now, progress: Progress = silent
) -> TelemetryReport:
    """Read everything, write nothing, and say what a load would do.

    Raises:
        MappingError, SourceError, UnavailableError: as `backfill_telemetry`.
    """
    started = time.monotonic()
    source, mapping, load_id = opened(settings, request)
    with clients.timescale(settings) as connection:
        before = ledger.maybe_load(connection, load_id)
        vehicles = Vehicles.read(connection, request.register_as)
        received_at = before.received_at if before else clock()
        limits = Limits(DeviceTimes.of(settings), epoch_ms(received_at))
        columns, rejects, rows = ColumnReport(), Rejects(), Counter[date]()
        seen: set[str] = set()
        read = 0
        telling = Telling(progress, source)
        for file in source.files:
            reading = FileReading(file, vehicles, limits, mapping, columns)
            with source.local(file) as path:
                for table in reading.tables(path):
                    rows.update(_days_of(table))
                    seen.update(_vehicles_of(table))
                    telling.rows(read + reading.row_count)
            read += reading.row_count
            rejects.update(reading.rejects)
            telling.file(file, read)
        tiers = _tiers(settings, connection, sorted(rows), utc_today(clock))
    return TelemetryReport(
        load_id=load_id,
        is_dry_run=True,
        is_new=before is None or before.status != "complete",
        file_count=len(source.files),
        read_rows=read,
        loaded_rows=rows.total(),
        doubled_rows=None,
        rejected={f"{file}: {reason}": count for (file, reason), count in sorted(rejects.counts.items())},
        first_day=min(rows, default=None),
        last_day=max(rows, default=None),
        days_by_tier=dict(Counter(tiers.values())),
        vehicle_count=len(seen),
        registered_vehicles=len(
            {vin for _, _, vin in (each.rpartition(" ") for each in seen) if vin} - vehicles.vins
        ),
        odd_check_digits=len(vehicles.odd_check_digits),
        seconds=time.monotonic() - started,
        columns=columns,
        skipped_files=source.skipped[:SHOWN_EXAMPLES],
        examples=[
            Example(each.file, each.row_number, each.reason, each.detail)
            for found in rejects.examples.values()
            for each in found[:3]
        ][:SHOWN_EXAMPLES],
        estimated_bytes=estimated_bytes(rows, tiers),
    )


def _days_of(table: pa.Table) -> dict[date, int]:
    counts = pc.value_counts(table.column("time").cast(pa.date32()))
    return {row["values"]: row["counts"] for row in counts.to_pylist()}


def _vehicles_of(table: pa.Table) -> set[str]:
    """Device and VIN of what was read, each pair once."""
    joined = pc.binary_join_element_wise(table.column("device_id"), table.column("vin"), " ")
    return set(pc.unique(joined).to_pylist())


def _tiers(settings: Settings, connection: Connection, days: list[date], today: date) -> dict[date, str]:
    """Where each day goes."""
    are_hot = ledger.hot_days(connection, days, today - timedelta(settings.hot_retention_days))

    def tier(day: date) -> str:
        if day in are_hot:
            return "hot"
        if day >= today - timedelta(settings.warm_retention_days):
            return "warm"
        return "cold" if day >= today - timedelta(settings.cold_retention_days) else "archive"

    return {day: tier(day) for day in days}
