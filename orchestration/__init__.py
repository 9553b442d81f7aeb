"""Orchestration: Dagster definitions, thin decorators over `warehouse`, `ml` and dbt.

definitions    the code location: what Dagster loads
partitions     daily UTC partitions; a run's days
loads          analytics/telemetry, and the sources it starts from
dbt_*          both dbt targets as assets: manifests, keys, runs, metadata; column_lineage from their SQL
history        folders of history, and the registry's tables as ClickHouse has them
learning       what a model learns from, as the warehouse has it
training*      models/…: training set, candidate, evaluation, champion; what they hand on lies in files
candidates     the present candidate with its evaluation
gate           the gate's conditions as blocking checks
scoring*       analytics/maintenance_predictions and health_scores
publishing     published/scores
retention      public/telemetry_retention
archive        archive/telemetry: days past their time in ClickHouse
checks         warehouse.checks as asset checks
mart_checks    checks that span the marts: schema, every record, built on time
jobs           jobs and schedules
late_days      the sensors of days that were written again, or loaded from files
automation     conditions on which assets and checks run by themselves, and their sensor
load_metadata  what a load shows of days, table and tiers; plots draws it
faults         which errors are worth another try
failures       what failed, as CloudEvents; failure_alerts posts them, by webhook
orphans        runs whose process is gone are closed; tied: a program that ends with its run
home, storage  the instance: its folder, its settings, its event log in PostgreSQL
launch, serve  one run in a process; code server, web server and daemon in the foreground

`from __future__ import annotations` breaks Dagster's reading of signatures and is not used here.
"""

import warnings

import dagster

# Ranged runs and pools are what this code location is built on; the pinned version has them as they are used.
for _category in (dagster.BetaWarning, dagster.PreviewWarning):
    warnings.filterwarnings("ignore", category=_category)
