"""`piston dagster` as it is used: started, asked, told to end."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from orchestration.home import environment_of
from orchestration.serve import descendants, free_port, is_alive
from telematics.clock import utc_today
from telematics.settings import Settings

pytestmark = pytest.mark.integration

QUESTION = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
  ... on RepositoryLocation { repositories {
    schedules { name scheduleState { status } } sensors { name sensorState { status } } } } } } } } }"""


def _ask(port: int) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": QUESTION}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]["workspaceOrError"]


def test_it_serves_the_location_with_schedules_on_and_ends_without_leftovers(
    stack: Settings, repository: Path
):
    # its own port and a first day of today: no late day of another test is a partition, so no run starts
    settings = stack.model_copy(update={"dagster_port": free_port(), "first_day": utc_today()})
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "dagster"],
        env=environment_of(settings, os.environ), cwd=repository, stdout=subprocess.PIPE, text=True,
    ) as served:  # fmt: skip
        try:
            assert served.stdout is not None
            line = next(line for line in served.stdout if line.startswith("Dagster: "))
            assert line.strip() == f"Dagster: http://127.0.0.1:{settings.dagster_port}"
            [location] = _ask(settings.dagster_port)["locationEntries"]
            assert location["loadStatus"] == "LOADED"
            [repo] = location["locationOrLoadError"]["repositories"]
            assert {
                each["name"]: each["scheduleState"]["status"] for each in repo["schedules"]
            } == dict.fromkeys(
                (
                    "daily_schedule",
                    "today_schedule",
                    "hot_retention_schedule",
                    "archive_schedule",
                    "training_schedule",
                ),
                "RUNNING",
            )
            assert {each["name"]: each["sensorState"]["status"] for each in repo["sensors"]} == dict.fromkeys(
                (
                    "late_days_sensor",
                    "backfilled_days_sensor",
                    "automation_sensor",
                    "failure_alerts_sensor",
                    "orphaned_runs_sensor",
                ),
                "RUNNING",
            )
            family = descendants(served.pid)
            assert len(family) >= 3
        finally:
            served.send_signal(signal.SIGTERM)
        served.stdout.read()
    assert served.returncode == 0
    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in family if is_alive(pid)] == []
