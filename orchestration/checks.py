"""warehouse.checks as asset checks. Each is a comparison of stored numbers, shown with its verdict."""

from datetime import date
from typing import Final

import dagster as dg

from orchestration.automation import HOURLY
from orchestration.faults import told_apart
from orchestration.loads import HOT_TELEMETRY, WARM_TELEMETRY
from orchestration.partitions import DAY, Days, days_of_tags
from telematics.clock import utc_today
from telematics.settings import Settings
from warehouse import checks as warehouse_checks
from warehouse import parity_checks


def checked_days(context: dg.AssetCheckExecutionContext) -> Days:
    """The run's days; yesterday and today for a check that is run by itself."""
    today = utc_today()
    return days_of_tags(context.run.tags) or (today - DAY, today + DAY)


def as_result(
    check: warehouse_checks.CheckResult, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    """A check's outcome in Dagster's words; numbers that are not known are left out."""
    return dg.AssetCheckResult(
        passed=check.passed,
        description=check.description,
        severity=severity,
        metadata={name: number for name, number in check.numbers.items() if number is not None},
    )


@dg.asset_check(asset=HOT_TELEMETRY, name="fresh", automation_condition=HOURLY)
def fresh(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Live cars were heard within the last hour."""
    with told_apart():
        return as_result(warehouse_checks.fresh(settings), dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=HOT_TELEMETRY, name="no_future")
def no_future(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """No record's time lies further ahead than a day."""
    with told_apart():
        return as_result(warehouse_checks.no_future(settings), dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=WARM_TELEMETRY, name="volume")
def volume(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """The newest complete day of the run has about as many rows as the days before it."""
    day = newest_complete_day(checked_days(context), utc_today())
    if day is None:
        return dg.AssetCheckResult(passed=True, description="no day of the run is complete yet")
    with told_apart():
        return as_result(warehouse_checks.volume(settings, day), dg.AssetCheckSeverity.WARN)


def newest_complete_day(days: Days, today: date) -> date | None:
    """The last of the days that is over, or None."""
    last = min(days[1], today) - DAY
    return last if last >= days[0] else None


@dg.asset_check(asset=WARM_TELEMETRY, name="parity", blocking=True)
def parity(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Both tiers hold the same rows of the days that both should hold: counts, hashes and sums of columns."""
    first, until = checked_days(context)
    days = [first + n * DAY for n in range((until - first).days)]
    with told_apart():
        return as_result(parity_checks.parity(settings, days))


@dg.asset_check(asset=WARM_TELEMETRY, name="unique_identity", blocking=True)
def unique_identity(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Each record (device, time, event, content) is there once."""
    first, until = checked_days(context)
    with told_apart():
        return as_result(warehouse_checks.unique_identity(settings, first, until))


CHECKS: Final = [fresh, no_future, volume, parity, unique_identity]
