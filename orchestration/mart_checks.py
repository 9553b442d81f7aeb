"""Checks that span the marts: their schema, their records, and whether they were built on time."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

from orchestration.automation import HOURLY
from orchestration.checks import as_result, checked_days
from orchestration.dbt_assets import dbt_clickhouse, dbt_timescale
from orchestration.dbt_manifest import contracts
from orchestration.faults import told_apart
from orchestration.loads import WARM_TELEMETRY
from orchestration.partitions import DAY, DAYS
from telematics.clock import day_start, utc_now
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import parity_checks, schema_checks
from warehouse.checks import CheckResult, Number

VEHICLE_ANALYTICS: Final = dg.AssetKey([ANALYTICS_DATABASE, "vehicle_analytics"])
DEADLINE: Final = timedelta(hours=2)
"""After midnight UTC; the daily job starts a quarter past and takes minutes."""
MAX_NAMED: Final = 5
"""Assets that a verdict names; it counts the others."""


@dg.asset_check(asset=WARM_TELEMETRY, name="schema", automation_condition=HOURLY)
def schema(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Both tiers and all marts have exactly the columns and types that the project declares."""
    with told_apart():
        return as_result(schema_checks.schema(settings, contracts("clickhouse")))


@dg.asset_check(asset=VEHICLE_ANALYTICS, name="holds_every_record", additional_deps=[WARM_TELEMETRY])
def holds_every_record(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Each vehicle's row of a day counts exactly the records that `telemetry` holds of it."""
    first, until = checked_days(context)
    with told_apart():
        return as_result(parity_checks.marts_hold_every_record(settings, first, until))


@dg.asset_check(asset=VEHICLE_ANALYTICS, name="on_time", automation_condition=HOURLY)
def on_time(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Every daily asset was built for the day that is over by 02:00 UTC, after that day had ended."""
    now = utc_now()
    day = due_day(now)
    keys = {WARM_TELEMETRY, *dbt_clickhouse.keys, *dbt_timescale.keys}
    built = {key.to_user_string(): last_built(context.instance, key, day) for key in keys}
    return as_result(judge_timeliness(due(context.instance, keys, day), built, day))


def due_day(now: datetime) -> date:
    """The newest day whose deadline has passed."""
    return (now.astimezone(UTC) - DEADLINE).date() - DAY


def last_built(instance: dg.DagsterInstance, key: dg.AssetKey, day: date) -> datetime | None:
    """When the asset was last built for the day, or None."""
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[day.isoformat()])
    records = instance.fetch_materializations(wanted, limit=1).records
    return datetime.fromtimestamp(records[0].timestamp, UTC) if records else None


def due(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey], day: date) -> set[str]:
    """Assets of which any day up to this one was ever built: a new asset's past is nobody's fault."""
    if not DAYS.has_partition_key(day.isoformat()):
        return set()
    return {
        key.to_user_string()
        for key in keys
        if any(each <= day.isoformat() for each in instance.get_materialized_partitions(key))
    }


def judge_timeliness(
    due_assets: Iterable[str], built: Mapping[str, datetime | None], day: date
) -> CheckResult:
    """The verdict of `on_time`: built while the day was not over is not built."""
    end = day_start(day + DAY)
    wanted = sorted(due_assets)
    missing = [name for name in wanted if (moment := built.get(name)) is None or moment < end]
    numbers: dict[str, Number] = {
        "day": day.isoformat(),
        "assets": len(wanted),
        "assets_missing": len(missing),
    }
    if not missing:
        return CheckResult(True, f"{len(wanted)} assets were built for {day} after it had ended", numbers)
    more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
    return CheckResult(
        False,
        f"{day} is over since {end:%Y-%m-%d %H:%M} UTC and was not built since in "
        f"{', '.join(missing[:MAX_NAMED])}{more}; see the runs of daily_job",
        numbers,
    )


MART_CHECKS: Final = [schema, holds_every_record, on_time]
