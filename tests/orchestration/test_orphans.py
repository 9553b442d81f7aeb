import os
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType

from orchestration.orphans import LAUNCHER_TAG, close_orphans, is_orphaned


@pytest.fixture
def gone() -> int:
    """The id of a process that was."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    return ended.pid


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    """With the launcher that the daemon uses here."""
    launcher = {"module": "dagster._core.launcher", "class": "DefaultRunLauncher"}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"run_launcher": launcher}) as temporary:
        yield temporary


def test_a_run_whose_process_is_gone_is_orphaned(gone: int):
    assert is_orphaned({LAUNCHER_TAG: f"here:{gone}"}, "here")


def test_a_living_process_another_host_and_the_daemons_runs_are_left_alone():
    assert not is_orphaned({LAUNCHER_TAG: f"here:{os.getpid()}"}, "here")
    assert not is_orphaned({LAUNCHER_TAG: "elsewhere:1"}, "here")
    assert not is_orphaned({}, "here")
    assert not is_orphaned({LAUNCHER_TAG: "here:"}, "here")


def _start(instance: dg.DagsterInstance, pid: int) -> str:
    """A run that the daemon launched and that says it began, in this process."""

    @dg.job
    def nothing() -> None:
        pass

    run = instance.create_run_for_job(nothing)
    event = DagsterEvent(DagsterEventType.RUN_START.value, nothing.name, pid=pid)
    instance.report_dagster_event(event, run.run_id)
    return run.run_id


def test_a_daemons_run_is_closed_once_its_process_is_gone(instance: dg.DagsterInstance, gone: int):
    alive, dead = _start(instance, os.getpid()), _start(instance, gone)
    assert close_orphans(instance) == [dead]
    assert close_orphans(instance) == []
    statuses = {run.run_id: run.status for run in instance.get_runs()}
    assert statuses == {alive: dg.DagsterRunStatus.STARTED, dead: dg.DagsterRunStatus.FAILURE}
