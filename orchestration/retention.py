"""public/telemetry_retention: days leave the hot tier once everything that needs them has them.

`warehouse.retention` proves that ClickHouse holds every row of a day. It knows nothing of what dbt builds
from the hot tier alone, so that is proven here: `telemetry_hourly` cannot be made again without the rows.
"""

from datetime import date, timedelta
from typing import Final

import dagster as dg

from orchestration import load_metadata
from orchestration.faults import told_apart
from orchestration.loads import DAY_LEDGER, OWNERS, WAREHOUSE_POOL, WARM_TELEMETRY
from telematics.clock import utc_today
from telematics.settings import Settings
from warehouse import clients, retention

MAX_NAMED: Final = 5
"""Days that a refusal names; it counts the others."""

RETENTION: Final = dg.AssetKey(["public", "telemetry_retention"])


@dg.asset(
    key=RETENTION,
    deps=[WARM_TELEMETRY, dg.AssetKey(["public", "telemetry_hourly"]), DAY_LEDGER],
    group_name="warehouse",
    kinds={"timescaledb"},
    owners=OWNERS,
    pool=WAREHOUSE_POOL,
)
def telemetry_retention(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult[None]:
    """Hot rows of merged days older than `PISTON_HOT_RETENTION_DAYS` are dropped.

    A day stays while ClickHouse lacks any of its rows; the reason is listed. Nothing is dropped while the
    hours of a day that would go are not complete.
    """
    with told_apart():
        missing = days_without_hours(settings, utc_today() - timedelta(settings.hot_retention_days))
    if missing:
        raise dg.Failure(description=refusal(missing), allow_retries=False)
    with told_apart():
        report = retention.drop_merged_days(
            settings, utc_today(), settings.hot_retention_days, progress=context.log.info
        )
        stored = load_metadata.of_tiers(settings)
    return dg.MaterializeResult(
        metadata={
            "dropped_days": len(report.dropped),
            "kept_days": len(report.kept),
            "kept": dg.MetadataValue.json(
                [{"day": kept.day.isoformat(), "reason": kept.reason} for kept in report.kept]
            ),
            "seconds": round(report.seconds, 3),
            **stored,
        }
    )


def days_without_hours(settings: Settings, before: date) -> list[date]:
    """Loaded days before a date whose hot rows are not all counted in `telemetry_hourly`, oldest first.

    Raises:
        UnavailableError: TimescaleDB does not let us in.
    """
    with clients.timescale(settings) as connection:
        row = connection.execute("select to_regclass('public.telemetry_hourly') is not null").fetchone()
        # a fresh stack has no such table before the first run, and then nothing is counted
        counted = (
            "select coalesce(sum(data_points), 0) from telemetry_hourly where bucket >= day.starts_at"
            " and bucket < day.ends_at"
            if row and row[0]
            else "select 0"
        )
        found = connection.execute(
            f"""
            select day.date
            from day_loads as l
            cross join lateral (
                select l.day as date, l.day::timestamp at time zone 'UTC' as starts_at,
                       (l.day + 1)::timestamp at time zone 'UTC' as ends_at
            ) as day
            where l.hot_dropped_at is null and l.day < %s
              and (select count(*) from telemetry where time >= day.starts_at and time < day.ends_at)
                  > ({counted})
            order by day.date
            """,
            [before],
        ).fetchall()
    return [date for (date,) in found]


def refusal(days: list[date]) -> str:
    """The sentence that says why nothing was dropped."""
    named = ", ".join(day.isoformat() for day in days[:MAX_NAMED])
    more = f" and {len(days) - MAX_NAMED} more" if len(days) > MAX_NAMED else ""
    return (
        f"nothing was dropped: public/telemetry_hourly does not hold all hours of {named}{more}, and they "
        "cannot be built once the rows are gone; materialise it for these days first"
    )
