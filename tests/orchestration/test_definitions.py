"""The code location as Dagster sees it. No server runs: settings point at closed ports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import defs
from orchestration.jobs import checks_job, daily_job, refresh_job
from orchestration.partitions import DAYS

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


def test_schedules_and_sensor_run_without_being_switched_on():
    repository = defs.get_repository_def()
    states = {schedule.name: schedule.default_status.value for schedule in repository.schedule_defs}
    states |= {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs}
    assert states == dict.fromkeys(
        ("daily_schedule", "today_schedule", "hot_retention_schedule", "late_days_sensor"), "RUNNING"
    )


def test_the_refresh_job_has_no_checks_and_the_checks_job_nothing_else(graph):
    jobs = (refresh_job, daily_job, checks_job)
    checks = {job.name: job.selection.resolve_checks(graph) for job in jobs}
    everything = graph.asset_check_keys
    assert checks == {"refresh_job": set(), "daily_job": everything, "checks_job": everything}
    assert checks_job.selection.resolve(graph) == set()


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
