"""Whether two stores hold the same: TimescaleDB against ClickHouse, records against what is built of them.

ClickHouse against the archive's files is `warehouse.archive.checks`.

Between TimescaleDB and ClickHouse a day's rows are counted, their content hashes added up, and so are the
columns that people read: the hash says that the same records are there, the sums that a load wrote their
values where they belong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import isclose
from typing import Final

from clickhouse_connect.driver.client import Client
from psycopg import Connection, IsolationLevel

from telematics.clock import Clock, day_start, utc_now
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients, ledger, warm_days
from warehouse.checks import CheckResult, Number

PARITY_DAYS: Final = 31
"""Days compared when the caller names none, the newest first."""
SETTLING: Final = timedelta(hours=1)
"""How long after its load a day may be ahead of its marts: longer than any run takes."""
_SUM_TOLERANCE: Final = 1e-9
"""Sums of doubles depend on the order of addition."""

SUMMED: Final = {
    # shifted, so that sums grow with every row and the tolerance stays relative
    "lat": "lat + 90",
    "lng": "lng + 180",
    "speed_mph": "speed_mph",
    "odometer": "odometer",
    "fuel_pct": "fuel_pct",
    "battery_v": "battery_v",
    "crank_v": "crank_v",
    "rpm": "rpm",
    "odometer_gnss_m": "odometer_gnss_m",
    "odometer_can_m": "odometer_can_m",
    "odometer_obd_m": "odometer_obd_m",
    "event_id": "event_id",
    "stream_position": "stream_position",
}
"""Columns whose values are added up, and what is added: the same words in both dialects."""
COUNTED: Final = ("is_valid", "ignition", "movement")
"""Columns whose true values are counted."""


@dataclass(frozen=True, slots=True)
class DaySums:
    """What parity compares of a day."""

    row_count: int
    hash_sum: int
    sums: Mapping[str, float] = field(default_factory=dict)
    """By column, of `SUMMED` and `COUNTED`; absent is 0."""

    def differences(self, other: "DaySums") -> list[str]:
        """What differs, in words; nothing if both stand for the same rows."""
        found = [] if self.row_count == other.row_count else ["row count"]
        if self.hash_sum != other.hash_sum:
            found.append("content_hash")
        return found + [
            name
            for name in sorted(self.sums.keys() | other.sums.keys())
            if not isclose(
                self.sums.get(name, 0.0),
                other.sums.get(name, 0.0),
                rel_tol=_SUM_TOLERANCE,
                abs_tol=_SUM_TOLERANCE,
            )
        ]


_NOTHING: Final = DaySums(0, 0)


def parity(settings: Settings, days: Sequence[date] | None = None) -> CheckResult:
    """TimescaleDB and ClickHouse agree on counts, hashes and sums of the days that should be equal.

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


def judge_parity(hot: Mapping[date, DaySums], warm: Mapping[date, DaySums]) -> CheckResult:
    """The verdict of `parity`, over the same days on both sides."""
    differing = {day: found for day in sorted(hot) if (found := hot[day].differences(warm[day]))}
    numbers: dict[str, Number] = {
        "days": len(hot),
        "days_that_differ": len(differing),
        "hot_rows": sum(sums.row_count for sums in hot.values()),
        "warm_rows": sum(sums.row_count for sums in warm.values()),
    }
    if not differing:
        return CheckResult(True, f"{len(hot)} days are the same in both tiers", numbers)
    first, found = next(iter(differing.items()))
    return CheckResult(
        False,
        f"{len(differing)} of {len(hot)} days differ; first {first}, in {', '.join(found)}: TimescaleDB "
        f"{hot[first].row_count} rows, ClickHouse {warm[first].row_count}; load it again",
        numbers | {"first_day": first.isoformat()},
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


def _named(row: Sequence[float]) -> dict[str, float]:
    return dict(zip([*SUMMED, *COUNTED], map(float, row), strict=True))


def _hot_sums(connection: Connection, days: Sequence[date]) -> dict[date, DaySums]:
    # a sum of reals would itself be a real, seven digits long
    parts = [f"coalesce(sum(({words})::float8), 0)" for words in SUMMED.values()]
    parts += [f"count(*) filter (where {name})" for name in COUNTED]
    found = {}
    for day in days:
        # day by day: literal bounds leave other chunks out, also where the days lie far apart
        row = connection.execute(
            f"select count(*), coalesce(sum(content_hash), 0), {', '.join(parts)} "
            "from telemetry where time >= %s and time < %s",
            [day_start(day), day_start(day + timedelta(1))],
        ).fetchone()
        if row is not None:
            found[day] = DaySums(row[0], int(row[1]), _named(row[2:]))
    return found


def _warm_sums(client: Client, days: Sequence[date]) -> dict[date, DaySums]:
    if not days:
        return {}
    parts = [f"ifNull(sum(toFloat64({words})), 0)" for words in SUMMED.values()]
    parts += [f"countIf({name})" for name in COUNTED]
    rows = client.query(
        f"select toDate(time, 'UTC') as day, count(), toString(sum(toInt128(content_hash))), "
        f"{', '.join(parts)} from {warm_days.TELEMETRY} "
        f"where {warm_days.WITHIN_DAYS} and toYYYYMMDD(time) in {{days:Array(UInt32)}} group by day",
        parameters={
            **warm_days.day_bounds(min(days), max(days) + timedelta(1)),
            "days": [int(f"{day:%Y%m%d}") for day in days],
        },
    ).result_rows
    return {row[0]: DaySums(int(row[1]), int(row[2]), _named(row[3:])) for row in rows}


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Records of a day and the vehicles that they belong to."""

    record_count: int
    vehicle_count: int


def marts_hold_every_record(
    settings: Settings, first: date, until: date, *, clock: Clock = utc_now
) -> CheckResult:
    """`vehicle_analytics` counts exactly the records and vehicles that `telemetry` holds of each day.

    A day that was loaded within the last hour may be ahead of its marts: the run that builds them is at work.

    Args:
        settings: where the stores are.
        first: first UTC day.
        until: the day after the last.
        clock: says what the last hour is.

    Raises:
        UnavailableError: a store does not answer.
    """
    bounds = {"first": first.isoformat(), "until": until.isoformat()}
    with clients.clickhouse(settings) as client:
        records = client.query(
            f"select toDate(time, 'UTC') as day, count(), uniqExact(vin) from {warm_days.TELEMETRY} "
            f"where vin != '' and {warm_days.WITHIN_DAYS} group by day",
            parameters=warm_days.day_bounds(first, until),
        ).result_rows
        built = client.query(
            "select date, sum(record_count), uniqExact(vin) "
            f"from {ANALYTICS_DATABASE}.vehicle_analytics "
            "where date >= {first:Date} and date < {until:Date} group by date",
            parameters=bounds,
        ).result_rows
    with clients.timescale(settings) as connection:
        loaded = connection.execute(
            "select day, loaded_at from day_loads where day >= %(first)s and day < %(until)s", bounds
        ).fetchall()
    settled = clock() - SETTLING
    return judge_marts(
        {row[0]: DayCounts(int(row[1]), int(row[2])) for row in records},
        {row[0]: DayCounts(int(row[1]), int(row[2])) for row in built},
        just_loaded={day for day, loaded_at in loaded if _is_after(loaded_at, settled)},
    )


def judge_marts(
    records: Mapping[date, DayCounts], built: Mapping[date, DayCounts], just_loaded: set[date]
) -> CheckResult:
    """The verdict of `marts_hold_every_record`."""
    nothing = DayCounts(0, 0)
    differing = [
        day
        for day in sorted(records.keys() | built.keys())
        if records.get(day, nothing) != built.get(day, nothing)
    ]
    wrong = [day for day in differing if day not in just_loaded]
    numbers: dict[str, Number] = {
        "days": len(records.keys() | built.keys()),
        "days_that_differ": len(wrong),
        "days_being_built": len(differing) - len(wrong),
        "records": sum(counts.record_count for counts in records.values()),
        "built_records": sum(counts.record_count for counts in built.values()),
    }
    if not wrong:
        return CheckResult(True, f"{numbers['days']} days hold every record of their vehicles", numbers)
    day = wrong[0]
    have, want = built.get(day, nothing), records.get(day, nothing)
    return CheckResult(
        False,
        f"{len(wrong)} days differ; first {day}: vehicle_analytics counts {have.record_count} records of "
        f"{have.vehicle_count} vehicles, telemetry holds {want.record_count} of {want.vehicle_count}; "
        "materialise the day's marts again",
        numbers | {"first_day": day.isoformat()},
    )


def _is_after(moment: datetime | None, limit: datetime) -> bool:
    return moment is not None and moment > limit
