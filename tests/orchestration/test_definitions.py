"""The code location as Dagster sees it. No server runs: settings point at closed ports."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)
from dagster._core.definitions.events import AssetKeyPartitionKey

from orchestration.definitions import defs
from orchestration.gate import BATTERY_EVALUATION, CONDITIONS
from orchestration.jobs import (
    JOBS,
    backfill_job,
    checks_job,
    daily_job,
    features_job,
    refresh_job,
    scoring_job,
    training_job,
)
from orchestration.partitions import DAYS, days_of_tags

GRAPH = Path(__file__).with_name("asset_graph.json")


@pytest.fixture(scope="module")
def graph():
    return defs.resolve_asset_graph()


def _described(graph) -> dict[str, object]:
    checks: dict[str, list[str]] = {}
    for check in graph.asset_check_keys:
        checks.setdefault(check.asset_key.to_user_string(), []).append(check.name)
    return {
        key.to_user_string(): {
            "group": graph.get(key).group_name,
            "needs": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "daily": graph.get(key).partitions_def == DAYS,
            "executable": graph.get(key).is_executable,
            "checks": len(checks.get(key.to_user_string(), [])),
        }
        for key in sorted(graph.get_all_asset_keys(), key=lambda key: key.path)
    }


def test_the_graph_is_the_one_agreed_on(graph):
    """A change of keys, groups, edges or partitions shows up as a change of the file beside this test."""
    assert _described(graph) == json.loads(GRAPH.read_text())


def test_every_asset_says_what_it_is_and_whose(graph):
    for key in graph.get_all_asset_keys():
        assert graph.get(key).description, key
        assert graph.get(key).owners, key


def test_every_daily_asset_takes_a_range_in_one_run(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        if node.is_executable and node.partitions_def is not None:
            assert node.backfill_policy == dg.BackfillPolicy.single_run(), key


def test_a_backfill_of_many_days_and_assets_is_one_run(graph):
    """What Dagster's backfill daemon makes of a range that somebody chose in the web server."""
    days = [f"2026-01-{day:02d}" for day in range(1, 32)]
    daily = [key for key in graph.get_all_asset_keys() if graph.get(key).partitions_def == DAYS]
    wanted = [AssetKeyPartitionKey(key, day) for key in daily if graph.get(key).is_executable for day in days]
    with dg.DagsterInstance.ephemeral() as instance:
        requests = build_run_requests_with_backfill_policies(wanted, graph, instance)
    [request] = requests
    assert days_of_tags(request.tags) == (date(2026, 1, 1), date(2026, 2, 1))
    assert set(request.asset_selection) == {each.asset_key for each in wanted}


def test_schedules_and_sensor_run_without_being_switched_on():
    repository = defs.get_repository_def()
    states = {schedule.name: schedule.default_status.value for schedule in repository.schedule_defs}
    states |= {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs}
    assert states == dict.fromkeys(
        (
            "daily_schedule",
            "today_schedule",
            "hot_retention_schedule",
            "archive_schedule",
            "training_schedule",
            "late_days_sensor",
            "backfilled_days_sensor",
            "automation_sensor",
            "failure_alerts_sensor",
            "orphaned_runs_sensor",
        ),
        "RUNNING",
    )


def test_the_refresh_job_has_no_checks_and_the_checks_job_nothing_else(graph):
    jobs = (refresh_job, daily_job, checks_job)
    checks = {job.name: job.selection.resolve_checks(graph) for job in jobs}
    standing = {key for key in graph.asset_check_keys if key.asset_key != BATTERY_EVALUATION}
    assert checks == {"refresh_job": set(), "daily_job": standing, "checks_job": standing}
    assert checks_job.selection.resolve(graph) == set()


def test_the_gate_is_part_of_training_and_of_nothing_else(graph):
    gate = {key for key in graph.asset_check_keys if key.asset_key == BATTERY_EVALUATION}
    assert {key.name for key in gate} == set(CONDITIONS)
    assert all(graph.get(key).blocking for key in gate)
    with_gate = {job.name for job in JOBS if job.selection.resolve_checks(graph) & gate}
    assert with_gate == {"training_job"}


def test_the_gate_knows_every_condition_of_the_models():
    from ml.gate import judge
    from tests.orchestration.candidate_making import make_evaluation

    assert [verdict.name for verdict in judge(make_evaluation())] == list(CONDITIONS)


def _names(job, graph) -> set[str]:
    return {key.to_user_string() for key in job.selection.resolve(graph)}


def test_daily_work_builds_features_and_neither_trains_nor_scores_nor_loads_files(graph):
    for job in (refresh_job, daily_job):
        names = _names(job, graph)
        assert {"analytics/service_records", "analytics/ftr_component_days", "published/scores"} <= names
        assert not [name for name in names if name.startswith("models/")]
        assert names.isdisjoint(
            {
                "analytics/maintenance_predictions",
                "analytics/health_scores",
                "analytics/loaded_component_day_signals",
                "public/service_records",
                "public/telemetry_retention",
                "archive/telemetry_retention",
                "published/search",
            }
        )


def test_the_features_job_builds_what_features_are_made_from_and_moves_no_telemetry(graph):
    assert _names(features_job, graph) == {
        "analytics/service_records",
        "analytics/vehicles",
        "analytics/int_engine_starts_measured",
        "analytics/component_day_signals",
        "analytics/ftr_component_days",
    }


def test_training_scoring_and_backfill_are_jobs_of_their_own(graph):
    assert _names(training_job, graph) == {
        f"models/battery_{part}" for part in ("training_set", "candidate", "evaluation", "champion")
    }
    assert _names(scoring_job, graph) == {
        "analytics/maintenance_predictions",
        "analytics/health_scores",
        "published/scores",
        "published/search",
    }
    assert {"analytics/loaded_component_day_signals", "analytics/vehicles"} <= _names(backfill_job, graph)


@pytest.mark.parametrize(
    "source", ["analytics/loaded_component_day_signals", "public/telemetry", "public/service_records"]
)
def test_the_way_from_every_source_of_history_to_the_published_scores_is_whole(graph, source: str):
    reached = dg.AssetSelection.assets(source).downstream().resolve(graph)
    names = {key.to_user_string() for key in reached}
    assert {"analytics/ftr_component_days", "models/battery_champion", "published/scores"} <= names


@pytest.mark.parametrize("heavy", ["sklearn", "matplotlib", "pandas", "skops", "elasticsearch"])
def test_loading_imports_nothing_that_only_runs_need(repository: Path, heavy: str):
    """The web server, the daemon and every run load this location first."""
    program = f"import sys, orchestration.definitions; sys.exit('{heavy}' in sys.modules)"
    environment = {**os.environ, "PISTON_ENVIRONMENT": "test"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=repository, env=environment)


def test_the_job_without_retention_never_drops_hot_rows():
    names = {node.name for node in defs.resolve_job_def("daily_job").nodes}
    assert "public__telemetry_retention" not in names
    assert {"analytics__telemetry", "dbt_clickhouse", "dbt_timescale", "published__scores"} <= names


def test_loading_connects_to_nothing(repository):
    """In a process of its own, in which every attempt to connect is an error."""
    program = """
import socket
def refuse(*arguments):
    raise AssertionError(f"connected to {arguments[1:]} while loading")
socket.socket.connect = refuse
from orchestration.definitions import defs
defs.get_repository_def()
"""
    environment = {**os.environ, "PISTON_ENVIRONMENT": "test"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=repository, env=environment)
