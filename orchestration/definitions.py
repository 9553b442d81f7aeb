"""The code location. Loading it reads settings and dbt's manifests and connects to nothing."""

import dagster as dg

from orchestration import dbt_assets
from orchestration.checks import CHECKS
from orchestration.jobs import JOBS, SCHEDULES
from orchestration.late_days import late_days_sensor
from orchestration.loads import SOURCES, analytics_telemetry
from orchestration.publishing import published_scores
from orchestration.retention import telemetry_retention
from telematics.settings import current_settings

defs = dg.Definitions(
    assets=[
        *SOURCES,
        analytics_telemetry,
        dbt_assets.dbt_timescale,
        dbt_assets.dbt_clickhouse,
        published_scores,
        telemetry_retention,
    ],
    asset_checks=CHECKS,
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=[late_days_sensor],
    resources={"settings": current_settings(), **dbt_assets.resources()},
    # a day's assets follow from one another: a process for each would only add seconds
    executor=dg.in_process_executor,
)
