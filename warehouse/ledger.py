"""The two tables that say which day is where: `hot_days` (the sink's) and `day_loads` (the warehouse's).

`hot_days.version` grows in every transaction that writes rows of the day. A load notes the version that its
own snapshot saw; a day is dirty when the sink has moved on since. `day_loads.hot_dropped_at` says that the
day's hot rows are gone and ClickHouse is the one to ask: retention sets it, and no load takes it back.
`day_loads.warm_dropped_at` says the same of ClickHouse and the archive; a load, which brings the day back to
ClickHouse, takes it back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from psycopg import Connection

from telematics.settings import Settings
from warehouse import clients
from warehouse.progress import Progress

MERGE_LOCK = 7_048_122
"""Advisory lock of whoever moves days between the tiers; migrations hold the number before it."""


@dataclass(frozen=True, slots=True)
class DayState:
    """One day in both tables."""

    day: date
    hot_version: int
    """0 when the sink never wrote the day."""
    hot_row_estimate: int
    """Rows that the sink ever wrote, an upper bound of those still hot."""
    loaded_version: int | None
    """None when the day was never loaded."""
    loaded_rows: int
    is_provisional: bool
    hot_dropped_at: datetime | None
    run_id: str | None = None
    """Of the last load."""
    loaded_at: datetime | None = None
    archive_version: int | None = None
    """The file that holds the day as it was last archived."""
    warm_dropped_at: datetime | None = None

    @property
    def is_archived(self) -> bool:
        """The archive is the one to ask."""
        return self.warm_dropped_at is not None

    @property
    def is_unchanged(self) -> bool:
        """Loaded, and not written since."""
        return self.loaded_version is not None and self.loaded_version >= self.hot_version


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What a load writes down about a day."""

    day: date
    row_count: int
    hot_version: int
    is_provisional: bool


@dataclass(frozen=True, slots=True)
class KeptDay:
    """A day that was to move between tiers and stays where it is."""

    day: date
    reason: str


@contextmanager
def merge_lock(settings: Settings, progress: Progress) -> Iterator[Connection]:
    """Hold the right to move days between tiers; yields the connection that holds it.

    The lock ends with its connection: whoever holds it writes the ledger through this very connection, so
    that a holder whose connection was lost cannot record anything.

    Raises:
        UnavailableError: TimescaleDB does not let us in, or the connection was lost.
    """
    with clients.timescale(settings) as connection:
        row = connection.execute("select pg_try_advisory_lock(%s)", [MERGE_LOCK]).fetchone()
        if row is None or not row[0]:
            progress("another load or retention is moving days; waiting for it to finish")
            connection.execute("select pg_advisory_lock(%s)", [MERGE_LOCK])
        yield connection


def day_states(connection: Connection, days: Sequence[date]) -> list[DayState]:
    """Where each of the days stands, in the order given."""
    rows = connection.execute(
        """
        select d.day, coalesce(h.version, 0), coalesce(h.row_count, 0),
               l.hot_version, coalesce(l.row_count, 0), coalesce(l.is_provisional, false), l.hot_dropped_at,
               l.run_id, l.loaded_at, l.archive_version, l.warm_dropped_at
        from unnest(%s::date[]) with ordinality as d (day, place)
        left join hot_days as h on h.day = d.day
        left join day_loads as l on l.day = d.day
        order by d.place
        """,
        [list(days)],
    ).fetchall()
    return [DayState(*row) for row in rows]


def write_loads(
    connection: Connection, entries: Sequence[LedgerEntry], run_id: str, loaded_at: datetime
) -> None:
    """Write the days down as loaded, in one statement; `hot_dropped_at` stays as it is.

    ClickHouse holds them all now, also those that the archive held alone.
    """
    connection.execute(
        """
        insert into day_loads (day, loaded_at, run_id, row_count, hot_version, is_provisional)
        select e.day, %(loaded_at)s, %(run_id)s, e.row_count, e.hot_version, e.is_provisional
        from unnest(
            %(days)s::date[], %(counts)s::bigint[], %(versions)s::bigint[], %(provisional)s::boolean[]
        ) as e (day, row_count, hot_version, is_provisional)
        order by e.day
        on conflict (day) do update set
            loaded_at = excluded.loaded_at, run_id = excluded.run_id, row_count = excluded.row_count,
            hot_version = excluded.hot_version, is_provisional = excluded.is_provisional,
            warm_dropped_at = null
        """,
        {
            "loaded_at": loaded_at,
            "run_id": run_id,
            "days": [entry.day for entry in entries],
            "counts": [entry.row_count for entry in entries],
            "versions": [entry.hot_version for entry in entries],
            "provisional": [entry.is_provisional for entry in entries],
        },
    )


def confirm_complete(connection: Connection, days: Sequence[date]) -> None:
    """Take the provisional mark off days that are over and have not changed since their load."""
    connection.execute(
        "update day_loads set is_provisional = false where is_provisional and day = any (%s::date[])",
        [list(days)],
    )
