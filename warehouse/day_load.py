"""Whole UTC days from TimescaleDB into ClickHouse, by the merge rule.

    day := dedupe(the day as ClickHouse holds it ∪ the day's rows that are still hot)

A load goes slice by slice, a slice being neighbouring days with a bounded number of rows. Per slice:

1. one repeatable-read snapshot of TimescaleDB gives the days' versions and their rows;
2. the rows stream through COPY into a staging table, merged there with what ClickHouse already holds; VIN
   and origin of both are resolved anew by the installation in force at the record's time;
3. the staged days are counted against both sides, a difference stops the load; hot rows are counted by day
   while they pass, and in all by PostgreSQL (a count by day of its own took as long as half a COPY);
4. each day is swapped in by REPLACE PARTITION, which readers see whole or not at all;
5. the ledger is written, with the versions of step 1.

Dying anywhere leaves at most a staging table, which the next load drops: before step 4 nothing happened, in
step 4 or before 5 the next load does the same days again with the same result. Loads and retention exclude
each other by a lock in TimescaleDB.

A day that the archive serves comes back: what ClickHouse "already holds" is then the archived file, and after
step 5 ClickHouse serves the day until it is archived anew, under a key of its own. A day whose file lies in
an offline storage class, or is damaged, is left alone, asked for, and named in the report.

Of two rows with one identity the one received first stays, so a record that a device sends again long after
it left the hot tier changes nothing. When both tiers hold the very same reception, the hot one wins.

Why COPY through this process and not ClickHouse's `postgresql()`: that one speaks text, which is slow
(`warehouse.crossing`), ClickHouse needs neither a route to PostgreSQL nor its password, and no time shifts
with a session's zone.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from clickhouse_connect.driver.client import Client
from psycopg import Connection, IsolationLevel

from telematics.clock import Clock, day_start, utc_now, utc_today
from telematics.errors import ConfigurationError, ConflictError
from telematics.settings import Settings
from warehouse import clients, columns, ledger, merging, staging, warm_days
from warehouse.archive import ledger as archive_ledger
from warehouse.archive import reload, restoring
from warehouse.archive.errors import DamagedError
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.storage import ArchiveStorage, open_storage
from warehouse.ledger import DayState, KeptDay, LedgerEntry
from warehouse.progress import Progress, silent

SLICE_ROWS = 400_000
"""Rows of a slice, hot and kept together; bounds the memory of a merge (about 1 kB a row in ClickHouse)."""
SLICE_DAYS = 31


class MergeError(ConflictError):
    """A staged day does not hold what it has to hold; it was not swapped in."""


@dataclass(frozen=True, slots=True)
class DayLoad:
    """What one day's load found and left behind."""

    day: date
    row_count: int
    """Rows of the day in ClickHouse now."""
    hot_rows: int
    """Rows of the day that TimescaleDB held."""
    kept_rows: int
    """Rows of the day that ClickHouse held before."""
    hot_version: int
    """`hot_days.version` of the snapshot; 0 for a day that the sink never wrote."""
    is_provisional: bool
    """The day was not over when it was loaded."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One call of `load_days`."""

    run_id: str
    days: tuple[DayLoad, ...]
    skipped: tuple[date, ...]
    """Days left alone because `only_dirty` found nothing new in them."""
    seconds: float
    out_of_reach: tuple[KeptDay, ...] = ()
    """Archived days that could not be read, and why; they stay dirty, and their late rows hot."""

    @property
    def row_count(self) -> int:
        """Rows in ClickHouse over all loaded days."""
        return sum(day.row_count for day in self.days)


@dataclass(frozen=True, slots=True)
class FurtherRows:
    """Rows that a merge takes in beside those that are hot and those that ClickHouse holds."""

    table: str
    """ClickHouse table with the columns of `warehouse.columns`; VINs are resolved as for all others."""
    row_counts: Mapping[date, int]
    """Different rows of each day in it."""
    settle: Callable[[Connection, Sequence[DayLoad]], None]
    """Called with each slice in the transaction that writes the ledger."""


def load_days(
    settings: Settings,
    first: date,
    until: date,
    run_id: str,
    *,
    clock: Clock = utc_now,
    progress: Progress = silent,
    only_dirty: bool = False,
) -> LoadReport:
    """Merge the days `first` (inclusive) to `until` (exclusive) into `analytics.telemetry`.

    A day without any row is written down as loaded with 0 rows. May be repeated at any time, and interrupted.

    Args:
        settings: where the stores are.
        first: first UTC day.
        until: the day after the last.
        run_id: whoever asks, for the ledger and the names of staging tables.
        clock: tells which day is not over yet.
        progress: told when the load waits for another one, and each slice.
        only_dirty: leave out days that were loaded and have not been written since. (A changed installation
            does not make a day dirty: load without this to have VINs resolved again.)

    Raises:
        ConfigurationError: the range is empty.
        MergeError: a staged day lacks rows; ClickHouse keeps the day as it was.
        DamagedError: an archived file is not what was archived; it is marked, the next load passes over it.
        UnavailableError: a store does not answer.
    """
    if first >= until:
        message = f"load of {first} to {until}: the range is empty; `until` is the day after the last"
        raise ConfigurationError(message)
    days = [first + timedelta(offset) for offset in range((until - first).days)]
    return merge_days(settings, days, run_id, clock=clock, progress=progress, only_dirty=only_dirty)


def merge_days(
    settings: Settings,
    days: Sequence[date],
    run_id: str,
    *,
    clock: Clock = utc_now,
    progress: Progress = silent,
    only_dirty: bool = False,
    further: FurtherRows | None = None,
) -> LoadReport:
    """The same for any days, at least one and in their order, with rows that lie elsewhere if need be.

    Raises:
        MergeError, DamagedError, UnavailableError: as `load_days`.
    """
    started = time.monotonic()
    first, until = days[0], days[-1] + timedelta(1)
    with ledger.merge_lock(settings, progress) as lock, clients.clickhouse(settings) as client:
        staging.drop_stale(client)
        skipped: list[date] = []
        states = ledger.day_states(lock, days)
        if only_dirty:
            skipped = [state.day for state in states if state.is_unchanged]
            ledger.confirm_complete(lock, [day for day in skipped if day < utc_today(clock)])
            states = [state for state in states if not state.is_unchanged]
        kept = warm_days.row_counts(client, first, until)
        loads: list[DayLoad] = []
        archived, out_of_reach = restoring.within_reach(settings, lock, states, run_id)
        missing = {day.day for day in out_of_reach}
        states = [state for state in states if state.day not in missing]
        # what is left of an archived day in ClickHouse is merged with its file
        kept |= {day: max(file.row_count, kept.get(day, 0)) for day, file in archived.items()}
        with staging.installations_table(client, lock, run_id) as installations:
            load = _Load(settings, client, lock, run_id, installations, clock, archived, further)
            weights = dict(kept)
            for day, count in further.row_counts.items() if further else ():
                weights[day] = weights.get(day, 0) + count
            for number, part in enumerate(slices(states, weights)):
                loaded = load.merge_slice(number, part, kept)
                loads.extend(loaded)
                rows = sum(day.row_count for day in loaded)
                progress(f"{part[0]} to {part[-1]}: {rows} rows; {len(loads)} of {len(states)} days loaded")
    seconds = time.monotonic() - started
    return LoadReport(run_id, tuple(loads), tuple(skipped), seconds, tuple(out_of_reach))


def slices(states: Sequence[DayState], kept: Mapping[date, int]) -> Iterator[list[date]]:
    """Cut days into runs of neighbours, each at most `SLICE_DAYS` long and about `SLICE_ROWS` rows."""
    part: list[date] = []
    rows = 0
    for state in states:
        weight = state.hot_row_estimate + kept.get(state.day, 0)
        is_neighbour = bool(part) and state.day - part[-1] == timedelta(1)
        if part and (not is_neighbour or len(part) == SLICE_DAYS or rows + weight > SLICE_ROWS):
            yield part
            part, rows = [], 0
        part.append(state.day)
        rows += weight
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class _Load:
    """What all slices of one load share."""

    settings: Settings
    client: Client
    lock: Connection
    run_id: str
    installations: str
    clock: Clock
    archived: Mapping[date, ArchivedFile]
    further: FurtherRows | None

    def merge_slice(self, number: int, days: Sequence[date], kept: dict[date, int]) -> list[DayLoad]:
        """Steps 1 to 5 for neighbouring days."""
        first, until = days[0], days[-1] + timedelta(1)
        with clients.timescale(self.settings, autocommit=False) as hot:
            hot.isolation_level = IsolationLevel.REPEATABLE_READ
            hot.read_only = True
            states = ledger.day_states(hot, days)
            versions = {state.day: state.hot_version for state in states}
            counts: Mapping[date, int] = {}
            staged: dict[date, int] = {}
            brought = self.further.row_counts if self.further else {}
            if any(day in kept or day in brought for day in days) or _has_hot_rows(hot, first, until):
                with staging.days_table(self.client, self.run_id, str(number)) as table:
                    has_kept = any(day in kept for day in days)
                    rows = sum(state.hot_row_estimate for state in states)
                    rows += sum(side.get(day, 0) for side in (kept, brought) for day in days)
                    counts = self._merge(table, number, hot, days, has_kept=has_kept, rows=rows)
                    staged = _staged_counts(self.client, table)
                    least = {day: max(counts.get(day, 0), brought.get(day, 0)) for day in days}
                    check_staged(staged, days, least, kept, self._distinct_kept)
                    # a lost connection means a lost lock: find out before anything is swapped
                    self.lock.execute("select 1")
                    swaps = [f"replace partition {day:%Y%m%d} from {table}" for day in sorted(staged)]
                    if swaps:  # one statement, in which each day is still a swap of its own
                        self.client.command(f"alter table {warm_days.TELEMETRY} {', '.join(swaps)}")
        loads = [
            DayLoad(
                day=day,
                row_count=staged.get(day, 0),
                hot_rows=counts.get(day, 0),
                kept_rows=kept.get(day, 0),
                hot_version=versions[day],
                is_provisional=day >= utc_today(self.clock),
            )
            for day in days
        ]
        entries = [LedgerEntry(x.day, x.row_count, x.hot_version, x.is_provisional) for x in loads]
        with self.lock.transaction():
            ledger.write_loads(self.lock, entries, self.run_id, self.clock())
            if self.further:
                self.further.settle(self.lock, loads)
        return loads

    def _merge(
        self,
        table: str,
        number: int,
        hot: Connection,
        days: Sequence[date],
        *,
        has_kept: bool,
        rows: int,
    ) -> Mapping[date, int]:
        """Step 2, with the files of archived days beside what ClickHouse holds of the others.

        Returns:
            Hot rows of each day.
        """
        files = [self.archived[day] for day in days if day in self.archived]
        others = [self.further.table] if self.further else []
        if not files:
            held = [warm_days.TELEMETRY] if has_kept else []
            return self._stage(table, hot, days, [*held, *others], rows)
        with staging.rows_table(self.client, self.run_id, f"{number}_archived") as unpacked:
            storage = open_storage(self.settings)
            for file in files:
                self._unpack(storage, file, unpacked)
            return self._stage(table, hot, days, [warm_days.TELEMETRY, unpacked, *others], rows)

    def _unpack(self, storage: ArchiveStorage, file: ArchivedFile, table: str) -> None:
        try:
            reload.insert_file(self.client, storage, file, table)
        except DamagedError as error:
            # the next load leaves the day alone, and nobody is served from it meanwhile
            archive_ledger.note_verification(self.lock, file, str(error), self.clock())
            raise

    def _distinct_kept(self, day: date) -> int:
        # an archived file was compared row by row: its rows are different ones
        archived = self.archived[day].row_count if day in self.archived else 0
        return max(archived, _distinct_kept(self.client, day))

    def _stage(
        self, table: str, hot: Connection, days: Sequence[date], kept: Sequence[str], rows: int
    ) -> Mapping[date, int]:
        # hot rows alone stream through; rows to compare are sorted, which takes memory for all of them
        first, until = days[0], days[-1] + timedelta(1)
        counts: Counter[date] = Counter()
        for start, end in merging.portions(first, until, rows if kept else 0, SLICE_ROWS):
            sources = [merging.kept_rows(source, start, end) for source in kept]
            insert = merging.merge_statement(table, self.installations, sources)
            rows_of = merging.hot_rows(start, end)
            counts += staging.cross_into(self.client, hot, rows_of, insert, columns.wire_columns())
        return counts


def check_staged(
    staged: Mapping[date, int],
    days: Sequence[date],
    hot: Mapping[date, int],
    kept: Mapping[date, int],
    distinct_kept: Callable[[date], int],
) -> None:
    """Compare what was staged with both sides; a merge never has fewer rows than either.

    Args:
        staged: rows of each staged day.
        days: the days of the slice.
        hot: rows of each day in TimescaleDB, unique by its index, or brought from elsewhere, if more.
        kept: rows of each day in ClickHouse.
        distinct_kept: how many of these are different; asked only when there seem to be too few, because
            duplicates in ClickHouse are a fault that a load mends.

    Raises:
        MergeError: a day lacks rows, or a row lies outside the slice.
    """
    if strangers := sorted(set(staged) - set(days)):
        message = f"load of {days[0]} to {days[-1]}: rows of {strangers[0]} were staged; nothing was changed"
        raise MergeError(message)
    for day in days:
        rows, from_hot, from_kept = staged.get(day, 0), hot.get(day, 0), kept.get(day, 0)
        if rows >= max(from_hot, from_kept) or rows >= max(from_hot, distinct_kept(day)):
            continue
        message = (
            f"load of {day}: {rows} rows staged, but TimescaleDB holds {from_hot}, ClickHouse {from_kept}; "
            "the day stays as it was. Does analytics.telemetry have a TTL that deletes?"
        )
        raise MergeError(message)


def _has_hot_rows(connection: Connection, first: date, until: date) -> bool:
    found = connection.execute(
        "select from telemetry where time >= %s and time < %s limit 1", [day_start(first), day_start(until)]
    )
    return found.rowcount > 0


def _staged_counts(client: Client, table: str) -> dict[date, int]:
    return warm_days.counts_by_day(client, f"select toDate(time, 'UTC'), count() from {table} group by 1")


def _distinct_kept(client: Client, day: date) -> int:
    """Different rows that ClickHouse holds of the day (duplicates there are a fault that a load mends)."""
    identities = warm_days.counts_by_day(
        client,
        f"select toDate(time, 'UTC'), uniqExact({', '.join(columns.IDENTITY)}) from {warm_days.TELEMETRY} "
        f"where {warm_days.WITHIN_DAYS} group by 1",
        warm_days.day_bounds(day, day + timedelta(1)),
    )
    return identities.get(day, 0)
