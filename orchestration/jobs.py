"""Jobs, and the schedules that run them."""

from datetime import date
from typing import Final

import dagster as dg

from orchestration.partitions import DAY
from orchestration.retention import RETENTION

DAILY_ASSETS: Final = dg.AssetSelection.all() - dg.AssetSelection.assets(RETENTION)
"""Everything that follows from a day's records, up to the published figures."""

IN_PROGRESS: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
QUIET: Final = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
"""A run's events are kept in the event log; the console only says what went wrong."""
CAUSE_TAG: Final = "piston/cause"
"""Run tag: why a run of the refresh job was asked for."""

daily_job = dg.define_asset_job(
    "daily_job",
    selection=DAILY_ASSETS | dg.AssetSelection.all_asset_checks(),
    config=QUIET,
    description="All daily assets with all checks: each complete day once.",
)
refresh_job = dg.define_asset_job(
    "refresh_job",
    selection=DAILY_ASSETS.without_checks(),
    config=QUIET,
    description=(
        "All daily assets without checks: today, late days and ranges of history. Dagster stores a check's "
        "outcome for each of a run's days, which a year of days need not have; run checks_job after it."
    ),
)
checks_job = dg.define_asset_job(
    "checks_job",
    selection=dg.AssetSelection.all_asset_checks(),
    config=QUIET,
    description="All checks on what is there.",
)
hot_retention_job = dg.define_asset_job(
    "hot_retention_job",
    selection=dg.AssetSelection.assets(RETENTION),
    config=QUIET,
    description="Merged days that are older than the hot tier's retention leave it.",
)
JOBS: Final = [daily_job, refresh_job, checks_job, hot_retention_job]


def is_running(instance: dg.DagsterInstance, job_name: str, cause: str) -> bool:
    """Whether a run of the job for this cause is queued or at work."""
    wanted = dg.RunsFilter(job_name=job_name, statuses=IN_PROGRESS, tags={CAUSE_TAG: cause})
    return instance.get_runs_count(wanted) > 0


def due_day(context: dg.ScheduleEvaluationContext) -> date:
    """The UTC day of the tick."""
    return context.scheduled_execution_time.date()


@dg.schedule(
    job=daily_job,
    cron_schedule="15 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """A quarter of an hour after midnight UTC: the day that is over, with all checks."""
    return dg.RunRequest(partition_key=(due_day(context) - DAY).isoformat(), tags={CAUSE_TAG: "complete day"})


@dg.schedule(
    job=refresh_job,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def today_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Every quarter of an hour: today, provisionally."""
    if is_running(context.instance, refresh_job.name, "today"):
        return dg.SkipReason("the last refresh of today is still at work")
    return dg.RunRequest(partition_key=due_day(context).isoformat(), tags={CAUSE_TAG: "today"})


@dg.schedule(
    job=hot_retention_job,
    cron_schedule="30 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def hot_retention_schedule() -> dg.RunRequest:
    """Every night, after the day that is over was loaded."""
    return dg.RunRequest()


SCHEDULES: Final = [daily_schedule, today_schedule, hot_retention_schedule]
