"""What must hold in and between the tiers; `orchestration` wraps each as an asset check.

Each returns a frozen result and changes nothing. What can be decided without a store is decided by a function
of its own (`judge_…`), and each check is proven able to fail by a test that plants the fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import isclose
from statistics import median

from clickhouse_connect.driver.client import Client
from psycopg import Connection, IsolationLevel

from telematics.clock import Clock, day_start, utc_now
from telematics.names import Origin
from telematics.settings import Settings
from warehouse import clients, columns, ledger, warm_days

Number = int | float | str | None

NEWEST_LOOKBACK = timedelta(days=2)
"""How far back a live device's newest record is looked for: planning over a year of chunks is slow."""
PARITY_DAYS = 31
"""Days compared when the caller names none, the newest first."""
_SUM_TOLERANCE = 1e-9
"""Sums of doubles depend on the order of addition."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's outcome; `numbers` are what the verdict rests on, ready to be shown."""

    passed: bool
    description: str
    numbers: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DaySums:
    """What parity compares of a day."""

    row_count: int
    hash_sum: int
    odometer_sum: float

    def agrees_with(self, other: "DaySums") -> bool:
        """Same rows, as far as counts and sums can tell."""
        return (self.row_count, self.hash_sum) == (other.row_count, other.hash_sum) and isclose(
            self.odometer_sum, other.odometer_sum, rel_tol=_SUM_TOLERANCE, abs_tol=_SUM_TOLERANCE
        )


def fresh(
    settings: Settings, *, clock: Clock = utc_now, silent_after: timedelta = timedelta(hours=1)
) -> CheckResult:
    """A live device's newest record was received less than `silent_after` ago.

    Recorded and simulated vehicles do not count: a replay is no sign that the fleet is heard, and a system
    without live vehicles passes.

    Raises:
        UnavailableError: TimescaleDB does not answer.
    """
    now = clock()
    with clients.timescale(settings) as connection:
        row = connection.execute(
            """
            select count(*), max(newest.received_at)
            from device_installations as i
            join vehicles as v using (vin)
            left join lateral (
                select t.received_at from telemetry as t
                where t.device_id = i.imei and t.time >= %(since)s and t.time >= i.installed_at
                    and t.received_at <= %(now)s
                order by t.time desc limit 1
            ) as newest on true
            where v.origin = %(live)s and i.installed_at <= %(now)s and i.removed_at > %(now)s
            """,
            {"since": now - NEWEST_LOOKBACK, "now": now, "live": Origin.LIVE.value},
        ).fetchone()
    device_count, newest = row or (0, None)
    return judge_freshness(device_count, newest, now, silent_after)


def judge_freshness(
    device_count: int, newest: datetime | None, now: datetime, silent_after: timedelta
) -> CheckResult:
    """The verdict of `fresh`."""
    numbers: dict[str, Number] = {"live_devices": device_count}
    if device_count == 0:
        return CheckResult(True, "no live device is installed: nothing to hear from", numbers)
    if newest is None:
        hours = NEWEST_LOOKBACK // timedelta(hours=1)
        return CheckResult(
            False, f"none of {device_count} live devices was heard in the last {hours} h", numbers
        )
    age = now - newest
    numbers |= {"newest_received_at": newest.isoformat(), "age_s": round(age.total_seconds(), 3)}
    return CheckResult(
        age <= silent_after,
        f"newest live record received {age.total_seconds():.0f} s ago, "
        f"{silent_after.total_seconds():.0f} s allowed",
        numbers,
    )


def volume(settings: Settings, day: date, *, factor: float = 5.0, window_days: int = 28) -> CheckResult:
    """The day's row count in ClickHouse lies within `factor` of the usual.

    Usual is the median over the days with data among the `window_days` before; with none, any data will do.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        counts = warm_days.row_counts(client, day - timedelta(window_days), day + timedelta(1))
    return judge_volume(counts.pop(day, 0), list(counts.values()), factor)


def judge_volume(row_count: int, earlier: Sequence[int], factor: float) -> CheckResult:
    """The verdict of `volume`."""
    numbers: dict[str, Number] = {"row_count": row_count, "earlier_days": len(earlier)}
    if not earlier:
        return CheckResult(True, f"{row_count} rows, and no earlier day to compare with", numbers)
    usual = median(earlier)
    numbers["median"] = usual
    return CheckResult(
        usual / factor <= row_count <= usual * factor,
        f"{row_count} rows; usual are {usual:g}, allowed {usual / factor:g} to {usual * factor:g}",
        numbers,
    )


def parity(settings: Settings, days: Sequence[date] | None = None) -> CheckResult:
    """TimescaleDB and ClickHouse agree on counts, hashes and odometers of the days that should be equal.

    Those are days still hot and not written since their load; other days of the list are left out.

    Args:
        settings: where the stores are.
        days: which days; by default the newest `PARITY_DAYS` that qualify.

    Raises:
        UnavailableError: a store does not answer.
    """
    with (
        clients.clickhouse(settings) as client,
        clients.timescale(settings, autocommit=False) as hot,
        clients.timescale(settings) as now,
    ):
        hot.isolation_level = IsolationLevel.REPEATABLE_READ
        hot.read_only = True
        versions = _comparable(hot, days)
        hot_sums = _hot_sums(hot, list(versions))
        warm_sums = _warm_sums(client, list(versions))
        # a load that swapped a day in since the snapshot has written the ledger since: leave such days out
        still = {state.day: state.loaded_version for state in ledger.day_states(now, list(versions))}
    compared = [day for day in versions if still[day] == versions[day]]
    return judge_parity(
        {day: hot_sums.get(day, _NOTHING) for day in compared},
        {day: warm_sums.get(day, _NOTHING) for day in compared},
    )


_NOTHING = DaySums(0, 0, 0.0)


def judge_parity(hot: Mapping[date, DaySums], warm: Mapping[date, DaySums]) -> CheckResult:
    """The verdict of `parity`, over the same days on both sides."""
    wrong = sorted(day for day in hot if not hot[day].agrees_with(warm[day]))
    numbers: dict[str, Number] = {
        "days": len(hot),
        "days_that_differ": len(wrong),
        "hot_rows": sum(sums.row_count for sums in hot.values()),
        "warm_rows": sum(sums.row_count for sums in warm.values()),
    }
    if not wrong:
        return CheckResult(True, f"{len(hot)} days are the same in both tiers", numbers)
    first = wrong[0]
    return CheckResult(
        False,
        f"{len(wrong)} of {len(hot)} days differ; first {first}: TimescaleDB {hot[first].row_count} rows, "
        f"ClickHouse {warm[first].row_count}; load it again",
        numbers | {"first_day": first.isoformat()},
    )


def no_future(
    settings: Settings, *, clock: Clock = utc_now, tolerance: timedelta = timedelta(days=1)
) -> CheckResult:
    """No record's own time lies further ahead of now than the tolerance, in either tier.

    Raises:
        UnavailableError: a store does not answer.
    """
    latest = clock() + tolerance
    with clients.timescale(settings) as connection:
        row = connection.execute(
            "select count(*), max(time) from telemetry where time > %s", [latest]
        ).fetchone()
    hot_count, hot_newest = row or (0, None)
    with clients.clickhouse(settings) as client:
        warm_count = int(
            client.query(
                f"select count() from {warm_days.TELEMETRY} where time > {{latest:DateTime64(3, 'UTC')}}",
                parameters={"latest": latest.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]},
            ).result_rows[0][0]
        )
    numbers: dict[str, Number] = {
        "hot_rows": hot_count,
        "warm_rows": warm_count,
        "newest": None if hot_newest is None else hot_newest.isoformat(),
    }
    if hot_count == warm_count == 0:
        return CheckResult(True, f"no record lies beyond {latest.isoformat()}", numbers)
    return CheckResult(
        False,
        f"{hot_count} hot and {warm_count} warm records lie beyond {latest.isoformat()}: "
        "some device's clock is ahead",
        numbers,
    )


def unique_identity(settings: Settings, first: date, until: date) -> CheckResult:
    """Each (device_id, time, event_id, content_hash) occurs once in ClickHouse's days.

    Args:
        settings: where ClickHouse is.
        first: first UTC day.
        until: the day after the last.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        rows = client.query(
            "select toDate(time, 'UTC') as day, count(), "
            f"uniqExact(sipHash128({', '.join(columns.IDENTITY)})) as distinct_count "
            f"from {warm_days.TELEMETRY} where {warm_days.WITHIN_DAYS} group by day order by day",
            parameters=warm_days.day_bounds(first, until),
        ).result_rows
    doubled = {day: count - distinct for day, count, distinct in rows if count != distinct}
    numbers: dict[str, Number] = {
        "rows": sum(row[1] for row in rows),
        "surplus_rows": sum(doubled.values()),
        "days_with_surplus": len(doubled),
    }
    if not doubled:
        return CheckResult(True, f"{numbers['rows']} rows, each once", numbers)
    return CheckResult(
        False,
        f"{numbers['surplus_rows']} rows of {len(doubled)} days occur more than once, first on "
        f"{min(doubled)}; loading a day again mends it",
        numbers,
    )


def _comparable(connection: Connection, days: Sequence[date] | None) -> dict[date, int]:
    """Days that should be equal, with the version that they were loaded at."""
    rows = connection.execute(
        """
        select l.day, l.hot_version from day_loads as l join hot_days as h using (day)
        where l.hot_version = h.version and l.hot_dropped_at is null
          and (%(days)s::date[] is null or l.day = any (%(days)s::date[]))
        order by l.day desc limit %(limit)s
        """,
        {
            "days": None if days is None else list(days),
            "limit": PARITY_DAYS if days is None else len(days),
        },
    )
    return dict(rows.fetchall())


def _hot_sums(connection: Connection, days: Sequence[date]) -> dict[date, DaySums]:
    found = {}
    for day in days:
        # day by day: literal bounds leave other chunks out, also where the days lie far apart
        row = connection.execute(
            """
            select count(*), coalesce(sum(content_hash), 0), coalesce(sum(odometer), 0)
            from telemetry where time >= %s and time < %s
            """,
            [day_start(day), day_start(day + timedelta(1))],
        ).fetchone()
        if row is not None:
            found[day] = DaySums(row[0], int(row[1]), row[2])
    return found


def _warm_sums(client: Client, days: Sequence[date]) -> dict[date, DaySums]:
    if not days:
        return {}
    rows = client.query(
        "select toDate(time, 'UTC') as day, count(), toString(sum(toInt128(content_hash))), "
        f"sum(ifNull(odometer, 0)) from {warm_days.TELEMETRY} "
        f"where {warm_days.WITHIN_DAYS} and toYYYYMMDD(time) in {{days:Array(UInt32)}} group by day",
        parameters={
            **warm_days.day_bounds(min(days), max(days) + timedelta(1)),
            "days": [int(f"{day:%Y%m%d}") for day in days],
        },
    ).result_rows
    return {row[0]: DaySums(int(row[1]), int(row[2]), float(row[3])) for row in rows}
