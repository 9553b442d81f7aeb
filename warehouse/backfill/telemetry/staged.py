"""A load's own table in ClickHouse: every good row of every file, until its day is merged.

The table's name is made from the load's. It outlives a process that dies, so that files that were read need
not be read again; rows of a file that was not finished go before that file is read anew.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients, columns, staging

_PREFIX: Final = "backfill__"
_NAME_CHARACTERS: Final = 24
INSERT_ROWS: Final = 262_144
"""Rows of an insert, about 80 MB in Arrow; fewer, larger inserts leave less to merge."""


def table_of(load_id: str) -> str:
    """The load's table, with its database."""
    return f"{ANALYTICS_DATABASE}.{_PREFIX}{load_id[:_NAME_CHARACTERS]}"


def create(client: Client, load_id: str) -> str:
    """Make the load's table unless it is there; ordered by time, as days are merged one after another."""
    table = table_of(load_id)
    # neither its partitions (a file may touch any number of days) nor its codecs, which a merge undoes
    client.command(
        f"create table if not exists {table} engine = MergeTree order by time empty as "
        f"select toUInt32(0) as file_number, * from ({staging.row_select()})"
    )
    return table


def exists(client: Client, load_id: str) -> bool:
    """Whether the load's table is there."""
    return bool(client.command(f"exists table {table_of(load_id)}"))


def drop(client: Client, load_id: str) -> None:
    """Drop the load's table."""
    client.command(f"drop table if exists {table_of(load_id)} sync")


def drop_others(client: Client, open_loads: Iterable[str]) -> int:
    """Drop tables of loads that the ledger does not know as open; only with the backfill lock."""
    kept = {table_of(load_id) for load_id in open_loads}
    rows = client.query(
        "select name from system.tables "
        "where database = {database:String} and startsWith(name, {prefix:String})",
        parameters={"database": ANALYTICS_DATABASE, "prefix": _PREFIX},
    ).result_rows
    stale = [name for (name,) in rows if f"{ANALYTICS_DATABASE}.{name}" not in kept]
    for name in stale:
        client.command(f"drop table if exists {ANALYTICS_DATABASE}.`{name}` sync")
    return len(stale)


def forget_unfinished(client: Client, table: str, finished: Sequence[int]) -> None:
    """Remove rows of files that were begun and not finished."""
    client.command(
        f"alter table {table} delete where file_number not in ({', '.join(map(str, [*finished, -1]))})",
        settings={"mutations_sync": 2},
    )


@dataclass(frozen=True, slots=True)
class StagedDay:
    """What a load holds of a day."""

    day: date
    staged_rows: int
    loaded_rows: int
    """Different ones."""


def count(client: Client, table: str, file_number: int) -> int:
    """Rows of a file in the table."""
    found = client.query(f"select count() from {table} where file_number = {file_number}")
    return int(found.result_rows[0][0])


def days(client: Client, table: str) -> list[StagedDay]:
    """Every day that has rows, by day. Counted month by month: hashes of one month's rows are in memory."""
    months = client.query(f"select distinct toYYYYMM(time) from {table} order by 1").result_rows
    found = []
    identity = ", ".join(columns.IDENTITY)
    for (month,) in months:
        rows = client.query(
            # two rows of a day with one hash: once in 37 million days of a million rows
            f"select toDate(time, 'UTC') as day, count(), uniqExact(cityHash64({identity})) from {table} "
            f"where toYYYYMM(time) = {month} group by day order by day"
        ).result_rows
        found += [StagedDay(day, int(staged), int(loaded)) for day, staged, loaded in rows]
    return found


def vehicles(client: Client, table: str) -> list[tuple[str, str]]:
    """Device ids, and VINs where rows name their vehicle by VIN, else ""; each pair once."""
    rows = client.query(f"select device_id, vin from {table} group by 1, 2 order by 1, 2").result_rows
    return [(device_id, vin) for device_id, vin in rows]


class Inserting(AbstractContextManager["Inserting"]):
    """Inserts rows in a thread of its own while the next ones are made, many batches at a time."""

    def __init__(self, settings: Settings, table: str) -> None:
        self._settings = settings
        self._table = table
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backfill")
        self._client = clients.open_clickhouse(settings)
        self._batches: list[pa.Table] = []
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._client.close()

    def insert(self, rows: pa.Table, file_number: int) -> None:
        """Hand over a batch; once there are enough, waits for the insert before and begins the next.

        Raises:
            UnavailableError: ClickHouse does not answer.
        """
        numbers = pa.repeat(pa.scalar(file_number, pa.uint32()), len(rows))
        self._batches.append(rows.append_column("file_number", numbers))
        if sum(map(len, self._batches)) >= INSERT_ROWS:
            self._begin()

    def _begin(self) -> None:
        batches, self._batches = self._batches, []
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()
        if batches:
            self._pending = self._thread.submit(self._send, pa.concat_tables(batches))

    def wait(self) -> None:
        """Wait until everything handed over is stored.

        Raises:
            UnavailableError: ClickHouse does not answer.
        """
        self._begin()
        self._begin()

    def _send(self, rows: pa.Table) -> None:
        with clients.clickhouse_errors(self._settings):
            self._client.insert_arrow(self._table, rows)
