"""The steps of a load of telemetry, and their order.

1. `begun`     the ledger knows the load: a hash of its files and of how they are read.
2. `file`      per file: its good rows lie in the load's own table (`staged`), its number, counts and rejects
               in the ledger. A file that was begun and not finished is removed and read again.
3. `staged`    all files are: vehicles are registered, the days are known; one transaction.
4. `hot`       per day that TimescaleDB serves: its rows are there, too (`hot`).
5. `merged`    per slice of days: merged with what the tiers hold and swapped in (`warehouse.day_load`); in
               the ledger's transaction the days are noted and served by ClickHouse unless they are hot.
6. `completed` the load's own table is gone, the ledger says so.

Dying anywhere and starting again gives the same rows: what was finished is passed over, what was not is done
again, and a row is itself by its content, however often it comes. A load without anything new changes
nothing. Days in an offline archive are asked for and stay pending; the next call goes on with them.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.client import Client
from psycopg import Connection

from ingest.device_time import DeviceTimes
from telematics.clock import Clock, epoch_ms, utc_now, utc_today
from telematics.names import Origin
from telematics.settings import Settings
from warehouse import clients
from warehouse.backfill.days import RUN_PREFIX
from warehouse.backfill.ledger import backfill_lock
from warehouse.backfill.telemetry import hot, ledger, staged
from warehouse.backfill.telemetry.errors import LostRowsError
from warehouse.backfill.telemetry.ledger import Load, LoadDay
from warehouse.backfill.telemetry.mapping import DEFAULT_SOURCE, FileMapping, load_mapping
from warehouse.backfill.telemetry.reading import FileReading
from warehouse.backfill.telemetry.report import ColumnReport, TelemetryReport
from warehouse.backfill.telemetry.rows import Limits
from warehouse.backfill.telemetry.sources import Source, SourceFile, open_source
from warehouse.backfill.telemetry.telling import Telling
from warehouse.backfill.telemetry.vehicles import Vehicles
from warehouse.day_load import DayLoad, FurtherRows, merge_days
from warehouse.ledger import KeptDay, day_states
from warehouse.progress import Progress, silent

SHOWN_EXAMPLES: Final = 20
"""Rows that were set aside, and files that were passed over, that a report names."""


class Step(StrEnum):
    """What is done; see the module."""

    BEGUN = "begun"
    FILE = "file"
    STAGED = "staged"
    HOT = "hot"
    MERGED = "merged"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be loaded, and how."""

    path: str
    """A file, a folder, or s3://bucket/prefix."""
    mapping: Path | None = None
    register_as: Origin | None = None
    """Vehicles that are not known are registered with this origin; None: their rows are set aside."""
    again: bool = False
    """Read a load that is complete once more: its rows that are there already stay as they are."""


def backfill_telemetry(
    settings: Settings,
    request: Request,
    *,
    clock: Clock = utc_now,
    progress: Progress = silent,
    after: Callable[[Step], None] = lambda _: None,
) -> TelemetryReport:
    """Load telemetry from files straight into the tiers of its days, exactly once; see the module.

    Args:
        settings: where the stores are, and which times count.
        request: what to load.
        clock: when the load began, and what today is.
        progress: told what happens, a sentence at a time.
        after: told each step that is done; tests interrupt there.

    Raises:
        MappingError: the mapping file cannot be followed.
        SourceError: there is nothing to read.
        LostRowsError: ClickHouse lost rows on the way.
        DamagedError: the archived file of a day is damaged; it is marked, the next call passes over it.
        UnavailableError: a store does not answer; the next call goes on from here.
    """
    started = time.monotonic()
    source, mapping, load_id = opened(settings, request)
    with backfill_lock(settings, progress) as connection, clients.clickhouse(settings) as client:
        before = ledger.maybe_load(connection, load_id)
        if before is not None and before.status == "complete" and not request.again:
            progress("the same files were loaded before in the same way; nothing is changed")
            return _report(connection, source, before, ColumnReport(), Vehicles.none(), started, is_new=False)
        if before is not None and (before.status == "complete" or not staged.exists(client, load_id)):
            ledger.read_again(connection, load_id)
        name = mapping.source if mapping else DEFAULT_SOURCE
        load = ledger.begin(connection, load_id, request.path, name, clock())
        after(Step.BEGUN)
        vehicles = Vehicles.read(connection, request.register_as)
        loading = _Loading(
            settings, source, mapping, load, vehicles, connection, client, clock, progress, after
        )
        pending = loading.run()
        done = ledger.maybe_load(connection, load_id) or load
        return _report(
            connection, source, done, loading.columns, vehicles, started, is_new=True, pending=pending
        )


def opened(settings: Settings, request: Request) -> tuple[Source, FileMapping | None, str]:
    """The files, their mapping, and what the load is known by.

    Raises:
        MappingError, SourceError, UnavailableError: as `backfill_telemetry`.
    """
    mapping, content = load_mapping(request.mapping) if request.mapping else (None, b"")
    source = open_source(settings, request.path)
    return source, mapping, source.digest(content, (request.register_as or "").encode())


@dataclass(slots=True)
class _Loading:
    """Steps 2 to 6 for one load."""

    settings: Settings
    source: Source
    mapping: FileMapping | None
    load: Load
    vehicles: Vehicles
    connection: Connection
    client: Client
    clock: Clock
    progress: Progress
    after: Callable[[Step], None]
    columns: ColumnReport = field(default_factory=ColumnReport)

    def run(self) -> list[KeptDay]:
        """Returns days that stay pending."""
        load_id = self.load.load_id
        staged.drop_others(self.client, ledger.open_loads(self.connection))
        if self.load.status == "reading":
            table = staged.create(self.client, load_id)
            self._stage(table)
            vehicles = staged.vehicles(self.client, table)
            days = staged.days(self.client, table)
            ledger.begin_merge(self.connection, load_id, days, vehicles, self.vehicles.register_as)
        else:
            table = staged.table_of(load_id)
            self.progress("all files were read before; going on with the days that are left")
        self.after(Step.STAGED)
        pending = self._merge(table)
        if not pending:
            ledger.complete(self.connection, load_id, self.clock())
            staged.drop(self.client, load_id)
            self.after(Step.COMPLETED)
        return pending

    def _stage(self, table: str) -> None:
        """Step 2."""
        load_id = self.load.load_id
        finished = ledger.finished_files(self.connection, load_id)
        staged.forget_unfinished(self.client, table, list(finished))
        limits = Limits(DeviceTimes.of(self.settings), epoch_ms(self.load.received_at))
        telling = Telling(self.progress, self.source)
        read = sum(rows for rows, _ in finished.values())
        with staged.Inserting(self.settings, table) as inserting:
            for file in self.source.files:
                if file.number in finished:
                    telling.file(file, read)
                    continue
                reading = FileReading(file, self.vehicles, limits, self.mapping, self.columns)
                sent = 0
                with self.source.local(file) as path:
                    for rows in reading.tables(path):
                        if len(rows):
                            inserting.insert(rows, file.number)
                        sent += len(rows)
                        telling.rows(read + reading.row_count)
                    inserting.wait()
                self._check_sent(table, file, sent)
                counts = (reading.row_count, sent)
                ledger.finish_file(self.connection, load_id, file.number, file.name, counts, reading.rejects)
                read += reading.row_count
                telling.file(file, read)
                self.after(Step.FILE)

    def _check_sent(self, table: str, file: SourceFile, sent: int) -> None:
        found = staged.count(self.client, table, file.number)
        if found != sent:
            message = (
                f"{file.name}: ClickHouse holds {found:,} of its rows, {sent:,} were sent; nothing was "
                "merged, run the backfill again"
            )
            raise LostRowsError(message)

    def _merge(self, table: str) -> list[KeptDay]:
        """Steps 4 and 5."""
        load_id = self.load.load_id
        left = [day for day in ledger.days(self.connection, load_id) if day.merged_at is None]
        if not left:
            return []
        days = [day.day for day in left]
        from_day = utc_today(self.clock) - timedelta(self.settings.hot_retention_days)
        are_hot = ledger.hot_days(self.connection, days, from_day)
        for day in sorted(are_hot):
            written = hot.write_day(self.settings, self.client, table, day)
            self.progress(f"{day} is hot: {written:,} new rows written to TimescaleDB")
            self.after(Step.HOT)

        def settle(lock: Connection, loads: Sequence[DayLoad]) -> None:
            ledger.settle(lock, load_id, [load.day for load in loads], are_hot, self.clock())
            self.after(Step.MERGED)

        further = FurtherRows(table, _counts(left), settle)
        report = merge_days(
            self.settings,
            days,
            RUN_PREFIX + load_id,
            clock=self.clock,
            progress=self.progress,
            further=further,
        )
        return list(report.out_of_reach)


def _counts(days: list[LoadDay]) -> dict[date, int]:
    return {day.day: day.loaded_rows for day in days}


def _report(
    connection: Connection,
    source: Source,
    load: Load,
    columns: ColumnReport,
    vehicles: Vehicles,
    started: float,
    *,
    is_new: bool,
    pending: list[KeptDay] | None = None,
) -> TelemetryReport:
    days = ledger.days(connection, load.load_id)
    states = day_states(connection, [day.day for day in days])
    left_out = {kept.day for kept in pending or ()}
    tiers = Counter(
        "pending" if state.day in left_out else "hot" if state.hot_dropped_at is None else "clickhouse"
        for state in states
    )
    return TelemetryReport(
        load_id=load.load_id,
        is_dry_run=False,
        is_new=is_new,
        file_count=len(source.files),
        read_rows=load.read_rows,
        loaded_rows=load.loaded_rows,
        doubled_rows=load.doubled_rows,
        rejected=ledger.reject_counts(connection, load.load_id),
        first_day=days[0].day if days else None,
        last_day=days[-1].day if days else None,
        days_by_tier=dict(tiers),
        vehicle_count=load.vehicle_count,
        registered_vehicles=load.registered_vehicles,
        odd_check_digits=len(vehicles.odd_check_digits),
        seconds=time.monotonic() - started,
        columns=columns,
        skipped_files=source.skipped[:SHOWN_EXAMPLES],
        examples=list(islice(ledger.examples(connection, load.load_id), SHOWN_EXAMPLES)),
        pending=pending or [],
    )
