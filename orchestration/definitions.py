"""The code location. Loading it reads settings and dbt's manifests and connects to nothing."""

import dagster as dg

from orchestration import dbt_assets
from orchestration.archive import ARCHIVE_CHECKS, ARCHIVED_DAYS, archive_retention
from orchestration.automation import automation_sensor
from orchestration.checks import CHECKS
from orchestration.failure_alerts import failure_alerts_sensor
from orchestration.gate import GATE_CHECKS
from orchestration.history import REGISTRY, backfilled_history, copied_reference
from orchestration.jobs import JOBS, SCHEDULES
from orchestration.late_days import backfilled_days_sensor, late_days_sensor
from orchestration.loads import SOURCES, analytics_telemetry
from orchestration.mart_checks import MART_CHECKS
from orchestration.orphans import orphaned_runs_sensor
from orchestration.publishing import published_scores
from orchestration.retention import telemetry_retention
from orchestration.scoring_assets import SCORING_CHECKS, scored_fleet
from orchestration.search import SEARCH_CHECKS, published_search
from orchestration.training_assets import (
    battery_candidate,
    battery_champion,
    battery_evaluation,
    battery_training_set,
)
from telematics.settings import current_settings

defs = dg.Definitions(
    assets=[
        *SOURCES,
        REGISTRY,
        analytics_telemetry,
        dbt_assets.dbt_timescale,
        dbt_assets.dbt_clickhouse,
        backfilled_history,
        copied_reference,
        battery_training_set,
        battery_candidate,
        battery_evaluation,
        battery_champion,
        scored_fleet,
        published_scores,
        published_search,
        telemetry_retention,
        archive_retention,
        ARCHIVED_DAYS,
    ],
    asset_checks=[*CHECKS, *MART_CHECKS, *ARCHIVE_CHECKS, *GATE_CHECKS, *SCORING_CHECKS, *SEARCH_CHECKS],
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=[
        late_days_sensor,
        backfilled_days_sensor,
        automation_sensor,
        failure_alerts_sensor,
        orphaned_runs_sensor,
    ],
    resources={"settings": current_settings(), **dbt_assets.resources()},
    # a day's assets follow from one another: a process for each would only add seconds
    executor=dg.in_process_executor,
)
