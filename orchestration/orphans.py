"""Runs whose process is gone: closed, and their pool slots freed, which nobody else would ever free.

A run that the daemon launched is looked after by its code server, as long as that lives; a run from the
command line by nobody. Both leave "started" behind when whatever watched them is killed too, and a pool
with a limit of one is then closed to everybody.
"""

import os
import socket
from collections.abc import Mapping
from typing import Final

import dagster as dg
from dagster import DagsterEventType
from dagster._core.launcher import DefaultRunLauncher  # not public; the version is pinned

from orchestration.jobs import IN_PROGRESS

LAUNCHER_TAG: Final = "piston/launcher"
"""Run tag: host and process id of the process that executes the run itself."""


def close_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs whose process on this host is gone, and free their pool slots; returns their ids."""
    closed = []
    for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS)):
        if is_orphaned(run.tags, socket.gethostname()) or _process_is_gone(instance, run):
            instance.report_run_failed(run, "the process that executed this run was killed")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            closed.append(run.run_id)
    return closed


def is_orphaned(tags: Mapping[str, str], host: str) -> bool:
    """Whether the tags name a launching process of this host that no longer exists."""
    launcher_host, _, pid = tags.get(LAUNCHER_TAG, "").rpartition(":")
    return launcher_host == host and pid.isdecimal() and not exists(int(pid))


def exists(pid: int) -> bool:
    """Whether there is such a process, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process_is_gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run that the daemon launched is at work in a process that no longer exists.

    Only where runs are children of a code server on this host, as the default launcher makes them.
    """
    if LAUNCHER_TAG in run.tags or run.status is not dg.DagsterRunStatus.STARTED:
        return False
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return False
    started = instance.get_records_for_run(run.run_id, of_type=DagsterEventType.RUN_START, limit=1).records
    pid = started[0].event_log_entry.get_dagster_event().pid if started else None
    return pid is not None and not exists(pid)


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def orphaned_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Runs whose process was killed are marked as failed, and whoever waits for their pools goes on."""
    closed = close_orphans(context.instance)
    return dg.SkipReason(f"{len(closed)} runs had no process any more" if closed else "every run is alive")
