"""The steps of a load, and their order.

1. The folder is checked as a whole (`folder`), and no vehicle of it may change its origin.
2. `begun`      the ledger says that the load is at work; what interrupted loads left there is dropped.
3. `signals`    the rows that pass (`rules`) go into a partition of their own, the others into the ledger.
4. `written`    vehicles, service records and the load's counts, in one transaction of PostgreSQL.
5. `marked`     the mark in ClickHouse: from here on readers see the load, before it nothing of it.
6. `completed`  the ledger says so too.

Dying after any step leaves the load invisible before step 5 and whole after it: dbt reads marked loads only,
and the copies of vehicles and service records (`warehouse.reference_copy`) leave those of other loads out.
What a folder adds to a vehicle that was registered before stands from step 4 on. Running it again gives the
same result, because a load is named after what it holds.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client
from psycopg import Connection

from telematics.clock import Clock, utc_now
from telematics.errors import ConflictError
from telematics.settings import Settings
from warehouse import clients
from warehouse.backfill import ledger, rules, signals
from warehouse.backfill.errors import FolderError
from warehouse.backfill.folder import HistoryFolder, open_folder
from warehouse.backfill.ledger import Load
from warehouse.backfill.rejects import rejects_of
from warehouse.backfill.schema import SERVICE_RECORDS, SIGNALS, VEHICLES
from warehouse.progress import Progress, silent


class Step(StrEnum):
    """What is done; see the module."""

    BEGUN = "begun"
    SIGNALS = "signals"
    WRITTEN = "written"
    MARKED = "marked"
    COMPLETED = "completed"


class IncompleteLoadError(ConflictError):
    """ClickHouse holds another number of rows than were sent; the load stays invisible."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """One call of `backfill`."""

    load_id: str
    is_new: bool
    """False: the same files were loaded before, nothing was changed."""
    day_rows: int
    service_record_rows: int
    """Service records that were not there before."""
    vehicle_rows: int
    rejected: Mapping[str, int]
    """Rows that were set aside, by `file: reason`; each stands in `backfill_rejects`."""
    first_day: date | None
    last_day: date | None
    seconds: float


def backfill(
    settings: Settings,
    folder: Path,
    *,
    clock: Clock = utc_now,
    progress: Progress = silent,
    after: Callable[[Step], None] = lambda _: None,
) -> BackfillReport:
    """Load a folder of history, exactly once; see the module for the steps.

    Args:
        settings: where the stores are.
        folder: a folder as `piston simulate fleet --out FOLDER` writes it.
        clock: tells which rows lie in the future.
        progress: told what happens, a sentence at a time.
        after: told each step that is done; tests interrupt there.

    Raises:
        FolderError: the folder is refused as a whole.
        VehicleOriginError: a vehicle of it is registered with another origin.
        IncompleteLoadError: ClickHouse lost rows on the way.
        UnavailableError: a store does not answer.
    """
    started = time.monotonic()
    history = open_folder(folder)
    progress(f"the folder is whole: {history.row_counts[SIGNALS]:,} days of vehicles, load {history.load_id}")
    with ledger.backfill_lock(settings, progress) as connection, clients.clickhouse(settings) as client:
        load = ledger.written_load(connection, history.load_id)
        is_marked = history.load_id in signals.marked_loads(client)
        is_new = load is None or not is_marked
        if load is None or not is_marked:
            load = _Loading(history, connection, client, clock, progress, after).run(is_marked=is_marked)
        else:
            progress("the same files were loaded before; nothing is changed")
        ledger.complete(connection, history.load_id, clock())
        after(Step.COMPLETED)
        rejected = ledger.rejected_counts(connection, history.load_id)
    return BackfillReport(
        load_id=history.load_id,
        is_new=is_new,
        day_rows=load.day_rows,
        service_record_rows=load.service_record_rows,
        vehicle_rows=load.vehicle_rows,
        rejected=rejected,
        first_day=load.first_day,
        last_day=load.last_day,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Loading:
    """Steps 2 to 5 for one folder."""

    history: HistoryFolder
    connection: Connection
    client: Client
    clock: Clock
    progress: Progress
    after: Callable[[Step], None]

    def run(self, *, is_marked: bool) -> Load:
        now, load_id = self.clock(), self.history.load_id
        vehicles = self.history.read(VEHICLES)
        codes = rules.judge_vehicles(vehicles)
        good = vehicles.filter(pa.array(codes == 0))
        given = dict(zip(good["vin"].to_pylist(), good["origin"].to_pylist(), strict=True))
        registered = ledger.registered_origins(self.connection)
        ledger.check_origins(registered, given)
        known = rules.KnownVehicles.of(registered | given)

        dropped = signals.drop_unmarked(self.client)
        if dropped:
            self.progress(f"dropped what {dropped} interrupted loads had left behind")
        ledger.drop_interrupted(self.connection, signals.marked_loads(self.client), load_id)
        ledger.begin(self.connection, load_id, self.history.path, now)
        self.after(Step.BEGUN)
        try:
            return self._fill(vehicles, codes, known, now, is_marked=is_marked)
        except FolderError:
            # a page of a file turned out to be damaged: what came before it goes at once
            if not is_marked:
                signals.drop_unmarked(self.client)
                ledger.drop_interrupted(self.connection, signals.marked_loads(self.client), load_id)
            raise

    def _fill(
        self,
        vehicles: pa.Table,
        codes: rules.Codes,
        known: rules.KnownVehicles,
        now: datetime,
        *,
        is_marked: bool,
    ) -> Load:
        """Steps 3 to 5."""
        load_id = self.history.load_id
        good = vehicles.filter(pa.array(codes == 0))
        rejected = self._set_aside(VEHICLES, vehicles, codes, 0)
        service_records = self.history.read(SERVICE_RECORDS)
        codes = rules.judge_service_records(service_records, known, now)
        rejected += self._set_aside(SERVICE_RECORDS, service_records, codes, 0)
        load = self._insert_signals(known, now, is_marked=is_marked)
        self.after(Step.SIGNALS)

        load = replace(load, vehicle_rows=len(good), rejected_rows=load.rejected_rows + rejected)
        good_records = service_records.filter(pa.array(codes == 0))
        load = ledger.write(self.connection, load_id, good, good_records, load)
        self.progress(
            f"{load.vehicle_rows:,} vehicles are registered, {load.service_record_rows:,} service records new"
        )
        self.after(Step.WRITTEN)

        if not is_marked:
            # a lost connection means a lost lock: find out before readers see anything
            self.connection.execute("select 1")
            signals.mark(self.client, load_id, load.day_rows, self.clock())
        self.after(Step.MARKED)
        return load

    def _insert_signals(self, known: rules.KnownVehicles, now: datetime, *, is_marked: bool) -> Load:
        """Step 3. The rows of a load that is marked are there: only what was set aside is noted again."""
        repeated = rules.repeated_days(self.history.read(SIGNALS, columns=["vin", "date"]))
        seen = loaded = rejected = 0
        first_day: date | None = None
        last_day: date | None = None
        for batch in self.history.batches(SIGNALS):
            codes = rules.judge_days(batch, known, repeated[seen : seen + len(batch)], now)
            rejected += self._set_aside(SIGNALS, batch, codes, seen)
            good = batch.filter(pa.array(codes == 0))
            if len(good):
                if not is_marked:
                    signals.insert(self.client, self.history.load_id, good)
                days = pc.min_max(good["date"]).as_py()
                first_day = min(first_day or days["min"], days["min"])
                last_day = max(last_day or days["max"], days["max"])
            seen += len(batch)
            loaded += len(good)
            self.progress(
                f"{seen:,} of {self.history.row_counts[SIGNALS]:,} rows of signals, {rejected:,} set aside"
            )
        found = signals.count(self.client, self.history.load_id)
        if found != loaded:
            message = (
                f"ClickHouse holds {found:,} rows of the load, {loaded:,} were sent; the load stays "
                f"invisible, run the backfill again"
            )
            raise IncompleteLoadError(message)
        return Load(loaded, 0, 0, rejected, first_day, last_day)

    def _set_aside(self, file: str, rows: pa.RecordBatch | pa.Table, codes: rules.Codes, offset: int) -> int:
        if not np.any(codes):
            return 0
        return ledger.add_rejects(
            self.connection, self.history.load_id, rejects_of(file, rows, codes, offset)
        )
