"""Hot rows go, once ClickHouse is proven to hold every one of them.

The proof is dear and the lock must be short, so they are apart. Per batch of neighbouring days:

1. in one snapshot of TimescaleDB: the days' versions, and every hot row's identity, streamed into a table
   beside `analytics.telemetry` and counted there against the rows that are really present;
2. in one short transaction that keeps writers out (SHARE ROW EXCLUSIVE on the hypertable: readers go on):
   the versions once more; a day that is still as proven loses its chunk and is marked in the ledger.

Nobody is ever waited for longer than `LOCK_TIMEOUT`: a long read of an old day postpones that batch to the
next call. Loads cannot run meanwhile, they need the same merge lock.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import psycopg
from clickhouse_connect.driver.client import Client
from psycopg import Connection, IsolationLevel, sql

from telematics.clock import day_start
from telematics.errors import ConfigurationError
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients, columns, ledger, staging, warm_days
from warehouse.ledger import DayState, KeptDay
from warehouse.progress import Progress, silent

BATCH_DAYS = 31
"""Chunks dropped in one transaction; each takes about a dozen of PostgreSQL's locks."""
LOCK_TIMEOUT = "3s"


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """One call of `drop_merged_days`."""

    dropped: tuple[date, ...]
    kept: tuple[KeptDay, ...]
    seconds: float


def drop_merged_days(
    settings: Settings,
    today: date,
    keep_days: int,
    *,
    progress: Progress = silent,
) -> RetentionReport:
    """Drop the hot rows of every merged day before `today - keep_days`; keep the others and say why.

    Args:
        settings: where the stores are.
        today: the UTC day that counts as today.
        keep_days: how many whole days before today stay hot in any case.
        progress: told when it waits for a load, and each batch.

    Raises:
        ConfigurationError: `keep_days` is negative.
        UnavailableError: a store does not answer; what was dropped until then stays dropped, and proven.
    """
    if keep_days < 0:
        message = f"retention of {keep_days} days: it cannot be negative; see PISTON_HOT_RETENTION_DAYS"
        raise ConfigurationError(message)
    started = time.monotonic()
    dropped: list[date] = []
    kept: list[KeptDay] = []
    with ledger.merge_lock(settings, progress) as lock, clients.clickhouse(settings) as client:
        staging.drop_stale(client)
        chunks = _chunks_before(lock, day_start(today - timedelta(keep_days)))
        for batch in _batches(sorted(chunks)):
            proven, refused = _prove(settings, client, batch)
            gone, busy = _drop(lock, proven, chunks)
            dropped += gone
            kept += refused + busy
            progress(f"{batch[0]} to {batch[-1]}: hot rows of {len(gone)} days dropped, {len(kept)} kept")
    return RetentionReport(tuple(dropped), tuple(kept), time.monotonic() - started)


def _chunks_before(connection: Connection, end: datetime) -> dict[date, bool]:
    """UTC days with a chunk that ends by then, and whether the chunk holds exactly that day."""
    rows = connection.execute(
        """
        select range_start, range_end from timescaledb_information.chunks
        where hypertable_schema = 'public' and hypertable_name = 'telemetry' and range_start < %s
        """,
        [end],
    ).fetchall()
    found: dict[date, bool] = {}
    for range_start, range_end in rows:
        is_one_day = range_start == day_start(range_start.date()) and range_end - range_start == timedelta(1)
        day = range_start.date()
        while day_start(day) < min(range_end, end):
            found[day] = is_one_day
            day += timedelta(1)
    return found


def _batches(days: Sequence[date]) -> Iterator[Sequence[date]]:
    for start in range(0, len(days), BATCH_DAYS):
        yield days[start : start + BATCH_DAYS]


def _prove(settings: Settings, client: Client, days: Sequence[date]) -> tuple[dict[date, int], list[KeptDay]]:
    """Step 1: versions of the days whose every hot row ClickHouse holds, and the others with the reason."""
    with clients.timescale(settings, autocommit=False) as hot:
        hot.isolation_level = IsolationLevel.REPEATABLE_READ
        hot.read_only = True
        states = ledger.day_states(hot, days)
        candidates = [state for state in states if state.is_unchanged]
        missing = _missing_rows(client, hot, days) if candidates else {}
    refused = [KeptDay(state.day, _reason(state)) for state in states if not state.is_unchanged]
    refused += [
        KeptDay(
            state.day,
            f"{missing[state.day]} of its rows are not in ClickHouse though it was loaded; load it again",
        )
        for state in candidates
        if missing.get(state.day)
    ]
    proven = {state.day: state.hot_version for state in candidates if not missing.get(state.day)}
    return proven, refused


def _reason(state: DayState) -> str:
    if state.loaded_version is None:
        return "it was never loaded into ClickHouse"
    return "it was written to since its last load"


def _missing_rows(client: Client, hot: Connection, days: Sequence[date]) -> dict[date, int]:
    """Per day, how many hot rows ClickHouse does not hold, by identity."""
    table = f"{ANALYTICS_DATABASE}.telemetry__retention"
    wire = [column for column in columns.COPIED if column.name in columns.IDENTITY]
    structure = ", ".join(f"{column.name} {column.wire_type}" for column in wire)
    names = ", ".join(column.name for column in wire)
    select = sql.SQL(
        f"select {', '.join(column.select or column.name for column in wire)} from telemetry "
        "where time >= {} and time < {}"
    ).format(sql.Literal(day_start(days[0])), sql.Literal(day_start(days[-1] + timedelta(1))))
    client.command(f"create table {table} ({structure}) engine = MergeTree order by time")
    try:
        staging.copy_into(client, hot, select, f"insert into {table} ({names})")
        # a right anti join would build its table from all columns; the semi-join's set holds identities only
        # a semi-join's set holds identities only, at most a batch of days of them
        return warm_days.counts_by_day(
            client,
            f"select toDate(time, 'UTC'), count() from {table} where ({names}) not in "
            f"(select {names} from {warm_days.TELEMETRY} where {warm_days.WITHIN_DAYS}) group by 1",
            warm_days.day_bounds(days[0], days[-1] + timedelta(1)),
        )
    finally:
        client.command(f"drop table if exists {table} sync")


def _drop(
    lock: Connection, proven: dict[date, int], chunks: dict[date, bool]
) -> tuple[list[date], list[KeptDay]]:
    """Step 2: drop what is still as proven, on the connection that holds the merge lock."""
    if not proven:
        return [], []
    try:
        with lock.transaction():
            lock.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            # the root alone: every writer locks it first, and locking 375 chunks would take as many locks
            lock.execute("lock table only telemetry in share row exclusive mode")
            # drop_chunks inside a parallel plan fails
            lock.execute("set local max_parallel_workers_per_gather = 0")
            states = ledger.day_states(lock, list(proven))
            same = [state.day for state in states if state.hot_version == proven[state.day]]
            for day in same:
                _empty_day(lock, day, has_own_chunk=chunks[day])
            lock.execute(
                "update day_loads set hot_dropped_at = clock_timestamp() where day = any (%s::date[])", [same]
            )
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        reason = f"its rows were being read or written for longer than {LOCK_TIMEOUT}; next time again"
        return [], [KeptDay(day, reason) for day in proven]
    changed = [KeptDay(day, "it was written to just now; load it again") for day in proven if day not in same]
    return same, changed


def _empty_day(connection: Connection, day: date, *, has_own_chunk: bool) -> None:
    bounds = [day_start(day), day_start(day + timedelta(1))]
    if has_own_chunk:
        connection.execute("select drop_chunks('telemetry', newer_than => %s, older_than => %s)", bounds)
    else:
        connection.execute("delete from telemetry where time >= %s and time < %s", bounds)
