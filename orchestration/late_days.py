"""Sensors that bring days up to date: written again after they were loaded, or loaded by a backfill."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

import dagster as dg

from orchestration.jobs import QUIET, is_running, refresh_job
from orchestration.partitions import CAUSE_TAG, Days, range_tags, ranges_of
from telematics.clock import utc_today
from telematics.errors import UnavailableError
from telematics.settings import Settings
from warehouse import dirty
from warehouse.backfill.days import backfilled_days

CAUSE: Final = "late days"
BACKFILL_CAUSE: Final = "backfilled days"
MAX_RANGES: Final = 4
"""Runs asked for at a time; the next tick asks for what is left."""


def ranges_to_refresh(dirty_days: list[date], first_day: date, today: date) -> list[Days]:
    """Which ranges of days to run now, oldest first.

    Today is left to its own schedule, days before the first partition have none, and days that were never
    loaded are not among `dirty_days`: whoever replays a year of history decides when to materialise it.
    """
    return ranges_of(day for day in dirty_days if first_day <= day < today)[:MAX_RANGES]


@dg.sensor(
    job=refresh_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def late_days_sensor(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Days that were written again after they were loaded are loaded and built again, and only they."""
    return _requests(context, settings, CAUSE, dirty.dirty_days, "no loaded day was written since")


@dg.sensor(
    job=refresh_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def backfilled_days_sensor(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Days that `piston backfill` loaded last are loaded once more, which loses nothing, and built."""
    return _requests(
        context, settings, BACKFILL_CAUSE, backfilled_days, "no day was backfilled since it was built"
    )


def _requests(
    context: dg.SensorEvaluationContext,
    settings: Settings,
    cause: str,
    find: Callable[[Settings], list[date]],
    none_found: str,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Runs over the days that are found, while none for this cause is at work."""
    if is_running(context.instance, refresh_job.name, cause):
        yield dg.SkipReason(f"the last {cause} are still being refreshed")
        return
    try:
        days = find(settings)
    except UnavailableError as error:
        yield dg.SkipReason(str(error))
        return
    ranges = ranges_to_refresh(days, settings.first_day, utc_today())
    if not ranges:
        yield dg.SkipReason(none_found)
    for first, until in ranges:
        yield dg.RunRequest(run_config=QUIET, tags={CAUSE_TAG: cause, **range_tags(first, until)})
