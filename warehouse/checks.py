"""What must hold in and between the tiers; `orchestration` wraps each as an asset check.

Each returns a frozen result and changes nothing. What can be decided without a store is decided by a function
of its own (`judge_…`), and each check is proven able to fail by a test that plants the fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median

from telematics.clock import Clock, utc_now
from telematics.names import Origin
from telematics.settings import Settings
from warehouse import clients, columns, warm_days

Number = int | float | str | None

VOLUME_FACTOR = 5.0
"""How many times the usual rows of a day are no surprise: weekends and a growing fleet lie within."""
NEWEST_LOOKBACK = timedelta(days=2)
"""How far back a live device's newest record is looked for: planning over a year of chunks is slow."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's outcome; `numbers` are what the verdict rests on, ready to be shown."""

    passed: bool
    description: str
    numbers: Mapping[str, Number] = field(default_factory=dict)


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


def volume(
    settings: Settings, day: date, *, factor: float = VOLUME_FACTOR, window_days: int = 28
) -> CheckResult:
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
