"""What is stored, in numbers for people: rows, bytes, compression and quality, by day, table and tier.

Sizes come from what the stores keep about themselves and cost milliseconds whatever the number of rows.
Quality is read from the records, of a bounded number of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from clickhouse_connect.driver.client import Client
from psycopg import Connection, sql

from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients, warm_days
from warehouse.archive import ledger as archive_ledger

QUALITY_ROWS: Final = 10_000_000
"""Most rows that a reading of quality touches, the newest days first: half a second on two cores."""
LATE: Final = "received_at > time + toIntervalDay(1)"
"""Received more than a day after its time, as `vehicle_day_completeness` has it."""


@dataclass(frozen=True, slots=True)
class Size:
    """What rows take on disk."""

    rows: int
    bytes_on_disk: int
    plain_bytes: int = 0
    """Before compression; 0 where the store does not tell."""
    packed_bytes: int = 0
    """After compression, of the columns alone."""

    @property
    def compression_ratio(self) -> float | None:
        """How many times smaller compression makes the columns."""
        return round(self.plain_bytes / self.packed_bytes, 3) if self.packed_bytes else None

    @property
    def bytes_per_row(self) -> float | None:
        """Everything on disk, shared out."""
        return round(self.bytes_on_disk / self.rows, 3) if self.rows else None


@dataclass(frozen=True, slots=True)
class DayQuality:
    """How good a day's records are."""

    no_fix_share: float
    late_share: float


_PARTS: Final = (
    "sum(rows), sum(bytes_on_disk), sum(data_uncompressed_bytes), sum(data_compressed_bytes) "
    "from system.parts where active and database = {database:String}"
)


def telemetry_days(client: Client, first: date, until: date) -> dict[date, Size]:
    """Size of each day of `analytics.telemetry`, `first` (inclusive) to `until` (exclusive)."""
    rows = client.query(
        f"select toDate(parseDateTimeBestEffort(partition)) as day, {_PARTS} and table = 'telemetry' "
        "and partition >= {first:String} and partition < {until:String} group by day order by day",
        parameters={
            "database": ANALYTICS_DATABASE,
            "first": f"{first:%Y%m%d}",
            "until": f"{until:%Y%m%d}",
        },
    ).result_rows
    return {row[0]: Size(*map(int, row[1:])) for row in rows}


def newest_days(sizes: Mapping[date, Size], row_limit: int = QUALITY_ROWS) -> list[date]:
    """The newest days that together hold no more rows than the limit, and at least one."""
    chosen: list[date] = []
    for day in sorted(sizes, reverse=True):
        row_limit -= sizes[day].rows
        if chosen and row_limit < 0:
            break
        chosen.append(day)
    return chosen[::-1]


def telemetry_quality(client: Client, days: Sequence[date]) -> dict[date, DayQuality]:
    """Quality of these days' records; days without any are left out."""
    if not days:
        return {}
    rows = client.query(
        "select toDate(time, 'UTC') as day, countIf(not ifNull(is_valid, lat is not null)) / count(), "
        f"countIf({LATE}) / count() from {warm_days.TELEMETRY} where {warm_days.WITHIN_DAYS} "
        "and toYYYYMMDD(time) in {days:Array(UInt32)} group by day",
        parameters={
            **warm_days.day_bounds(min(days), max(days) + timedelta(1)),
            "days": [int(f"{day:%Y%m%d}") for day in days],
        },
    ).result_rows
    return {row[0]: DayQuality(round(row[1], 6), round(row[2], 6)) for row in rows}


def table_size(client: Client, table: str) -> Size:
    """Size of a table in ClickHouse."""
    [row] = client.query(
        f"select {_PARTS} and table = {{table:String}}",
        parameters={"database": ANALYTICS_DATABASE, "table": table},
    ).result_rows
    return Size(*map(int, row))


def mart_days(client: Client, table: str, day_column: str, first: date, until: date) -> dict[date, int]:
    """Rows of each day of a mart."""
    return warm_days.counts_by_day(
        client,
        f"select {day_column}, count() from {ANALYTICS_DATABASE}.{table} "
        f"where {day_column} >= {{first:Date}} and {day_column} < {{until:Date}} group by 1",
        {"first": first.isoformat(), "until": until.isoformat()},
    )


def completeness(client: Client, first: date, until: date) -> dict[date, dict[str, float]]:
    """How much of each day's driving was heard, over all vehicles of `vehicle_day_completeness`.

    A number that does not exist (nobody drove, nobody is live) is left out.
    """
    rows = client.query(
        "select date, sum(record_count * fix_share) / sum(record_count) as fix_share, "
        "sum(covered_s) / nullIf(sum(covered_s) + sum(missed_s), 0) as completeness, "
        "sumIf(late_count, late_count is not null) / nullIf(sumIf(record_count, late_count is not null), 0) "
        f"as late_share from {ANALYTICS_DATABASE}.vehicle_day_completeness "
        "where date >= {first:Date} and date < {until:Date} group by date",
        parameters={"first": first.isoformat(), "until": until.isoformat()},
    ).result_rows
    names = ("fix_share", "completeness", "late_share")
    return {
        row[0]: {
            name: round(value, 6) for name, value in zip(names, row[1:], strict=True) if value is not None
        }
        for row in rows
    }


def warm_columns(client: Client) -> dict[str, dict[str, str]]:
    """Types by column of every table in ClickHouse, by table."""
    rows = client.query(
        "select table, name, type from system.columns where database = {database:String} "
        "order by table, position",
        parameters={"database": ANALYTICS_DATABASE},
    ).result_rows
    return _by_table(rows)


def hot_columns(connection: Connection) -> dict[str, dict[str, str]]:
    """Types by column of every table in TimescaleDB, by table."""
    return _by_table(
        connection.execute(
            "select table_name, column_name, data_type from information_schema.columns "
            "where table_schema = 'public' order by table_name, ordinal_position"
        ).fetchall()
    )


def _by_table(rows: Iterable[Sequence[str]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, name, kind in rows:
        found.setdefault(table, {})[name] = kind
    return found


def hot_table_size(connection: Connection, table: str) -> Size:
    """Size of a plain table in TimescaleDB; its rows as the planner last counted them."""
    row = connection.execute(
        "select greatest(reltuples, 0)::bigint, pg_total_relation_size(oid) from pg_class "
        "where oid = to_regclass(%s)",
        [f"public.{table}"],
    ).fetchone()
    return Size(*(row or (0, 0)))


def hot_days(
    connection: Connection, table: str, time_column: str, first: date, until: date
) -> dict[date, int]:
    """Rows of each UTC day of a table in TimescaleDB."""
    query = sql.SQL(
        "select ({time} at time zone 'UTC')::date, count(*) from {table} "
        "where {time} >= %s::timestamp at time zone 'UTC' and {time} < %s::timestamp at time zone 'UTC' "
        "group by 1"
    ).format(time=sql.Identifier(time_column), table=sql.Identifier(table))
    return dict(connection.execute(query, [first, until]).fetchall())


@dataclass(frozen=True, slots=True)
class TierSize:
    """What a tier holds."""

    tier: str
    days: int
    rows: int
    bytes_on_disk: int


def tiers(settings: Settings) -> list[TierSize]:
    """What each tier holds: hot, warm, cold, archive.

    Raises:
        UnavailableError: a store does not answer.
    """
    with clients.timescale(settings) as connection:
        # show_chunks() fails inside a parallel plan: a statement of its own
        chunks = [str(row[0]) for row in connection.execute("select show_chunks('telemetry')::text")]
        size = connection.execute(
            "select coalesce(sum(pg_total_relation_size(c)), 0)::bigint from unnest(%s::regclass[]) as c",
            [chunks],
        ).fetchone()
        hot = connection.execute(
            """
            select count(*), coalesce(sum(h.row_count), 0)::bigint
            from hot_days as h left join day_loads as l using (day) where l.hot_dropped_at is null
            """
        ).fetchone()
        files = archive_ledger.current_files(connection)
    with clients.clickhouse(settings) as client:
        warm = client.query(
            "select disk_name = 'cold' as is_cold, uniqExact(partition), sum(rows), sum(bytes_on_disk) "
            "from system.parts where active and database = {database:String} and table = 'telemetry' "
            "group by is_cold",
            parameters={"database": ANALYTICS_DATABASE},
        ).result_rows
    by_cold = {bool(row[0]): tuple(map(int, row[1:])) for row in warm}
    nothing = (0, 0, 0)
    return [
        TierSize("hot", *(hot or (0, 0)), *(size or (0,))),
        TierSize("warm", *by_cold.get(False, nothing)),
        TierSize("cold", *by_cold.get(True, nothing)),
        TierSize(
            "archive",
            len(files),
            sum(file.row_count for file in files),
            sum(file.byte_count for file in files),
        ),
    ]
