"""Jobs, and the schedules that run them."""

from datetime import date
from pathlib import Path
from typing import Any, Final

import dagster as dg

from orchestration.archive import ARCHIVE_CHECKS, ARCHIVE_RETENTION
from orchestration.dbt_assets import COMPONENT_FEATURES, dbt_clickhouse
from orchestration.gate import GATE_CHECKS
from orchestration.history import BACKFILLED, REFERENCE, BackfillConfig, backfilled_history
from orchestration.partitions import CAUSE_TAG, DAY
from orchestration.publishing import SCORES
from orchestration.retention import RETENTION
from orchestration.scoring_assets import HEALTH_SCORES, PREDICTIONS
from orchestration.search import SEARCH
from orchestration.training_assets import TRAINED

DAILY_ASSETS: Final = dg.AssetSelection.all() - dg.AssetSelection.assets(
    RETENTION, ARCHIVE_RETENTION, *BACKFILLED, *TRAINED, PREDICTIONS, HEALTH_SCORES, SEARCH
)
"""Everything that follows from a day's records, up to the published figures; models have their own times.

The search index is built with the scores; in between `piston search-feed` keeps it fresh."""
FEATURE_ASSETS: Final = dg.AssetSelection.assets(*REFERENCE) | (
    dg.AssetSelection.assets(COMPONENT_FEATURES).upstream() & dg.AssetSelection.assets(dbt_clickhouse)
)
SCORED_ASSETS: Final = dg.AssetSelection.assets(PREDICTIONS, HEALTH_SCORES, SCORES, SEARCH)
STANDING_CHECKS: Final = dg.AssetSelection.all_asset_checks() - dg.AssetSelection.checks(*GATE_CHECKS)
"""Checks of what is stored. The gate is a verdict on one candidate and belongs to its training."""

IN_PROGRESS: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
QUIET: Final = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
"""A run's events are kept in the event log; the console only says what went wrong."""
daily_job = dg.define_asset_job(
    "daily_job",
    selection=DAILY_ASSETS | STANDING_CHECKS,
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
    selection=STANDING_CHECKS,
    config=QUIET,
    description="All checks on what is there; a candidate's gate is part of training_job.",
)
hot_retention_job = dg.define_asset_job(
    "hot_retention_job",
    selection=dg.AssetSelection.assets(RETENTION),
    config=QUIET,
    description="Merged days that are older than the hot tier's retention leave it.",
)
archive_job = dg.define_asset_job(
    "archive_job",
    selection=dg.AssetSelection.assets(ARCHIVE_RETENTION) | dg.AssetSelection.checks(*ARCHIVE_CHECKS),
    config=QUIET,
    description="Days past their time in ClickHouse go to the archive; days in Glacier are asked for.",
)
backfill_job = dg.define_asset_job(
    "backfill_job",
    selection=dg.AssetSelection.assets(*BACKFILLED, *REFERENCE).without_checks(),
    # no default configuration: Dagster takes none that leaves a required part out
    description="A folder of history (run configuration: folder) into the stores, exactly once.",
)
features_job = dg.define_asset_job(
    "features_job",
    selection=FEATURE_ASSETS.without_checks(),
    config=QUIET,
    description="What models learn from, for a range of days: after a backfill, or a change of a feature.",
)
training_job = dg.define_asset_job(
    "training_job",
    selection=dg.AssetSelection.assets(*TRAINED) | dg.AssetSelection.checks(*GATE_CHECKS),
    config=QUIET,
    description="Training set, candidate, evaluation, gate; a candidate that passes becomes the champion.",
)
scoring_job = dg.define_asset_job(
    "scoring_job",
    selection=SCORED_ASSETS,
    config=QUIET,
    description="The champion's predictions and the health scores of every vehicle, checked and published.",
)
JOBS: Final = [
    daily_job, refresh_job, checks_job, hot_retention_job, archive_job, backfill_job, features_job,
    training_job, scoring_job,
]  # fmt: skip


def backfill_configuration(folder: Path) -> dict[str, Any]:
    """Run configuration of `backfill_job` for a folder."""
    return {"ops": {backfilled_history.op.name: {"config": BackfillConfig(folder=str(folder)).model_dump()}}}


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


@dg.schedule(
    job=archive_job,
    cron_schedule="50 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def archive_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Every hour: a day is due once, what could not be stored is tried again, and Glacier is looked after."""
    if is_running(context.instance, archive_job.name, "hourly"):
        return dg.SkipReason("the last archive run is still at work")
    return dg.RunRequest(tags={CAUSE_TAG: "hourly"})


@dg.schedule(
    job=training_job,
    cron_schedule="30 3 1 * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def training_schedule() -> dg.RunRequest:
    """Once a month, on the first, in the quietest hours."""
    return dg.RunRequest()


SCHEDULES: Final = [
    daily_schedule, today_schedule, hot_retention_schedule, archive_schedule, training_schedule,
]  # fmt: skip
