"""Execute a job's run in this process, in the instance that DAGSTER_HOME names.

The run is recorded like one that the daemon launched, so the web server shows it while it is at work. What
the daemon would do for its own runs is done here too: a run whose process was killed is closed, because its
pool slots would otherwise never be free again.
"""

import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator

from orchestration.definitions import defs
from orchestration.errors import RunFailedError
from orchestration.faults import answers
from orchestration.jobs import QUIET
from orchestration.orphans import LAUNCHER_TAG, close_orphans
from orchestration.partitions import CAUSE_TAG, DAYS, Days, range_tags
from telematics.errors import ConfigurationError, UnavailableError
from telematics.settings import current_settings

_LOCATION_TAGS: Final = {".dagster/repository": "__repository__@orchestration.definitions"}


def execute(
    job_name: str, days: Days | None = None, configuration: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Run a job, yielding a line for each step.

    Args:
        job_name: one of the code location's jobs.
        days: the days of a job about days, else None.
        configuration: run configuration beside what every run from here has.

    Raises:
        ConfigurationError: one of the days is no partition.
        UnavailableError: Dagster's database does not answer.
        RunFailedError: a step failed.
    """
    tags = range_tags(*days) if days else {}
    for key in tags.values():
        if not DAYS.has_partition_key(key):
            message = (
                f"{key} is no partition: days reach from {DAYS.get_first_partition_key()} "
                f"(PISTON_FIRST_DAY) to {DAYS.get_last_partition_key()} (today)"
            )
            raise ConfigurationError(message)
    settings = current_settings()
    if not answers(settings.host, settings.timescale_port):
        message = (
            f"TimescaleDB does not answer on {settings.host} port {settings.timescale_port}, where Dagster "
            "keeps its runs; start it with `piston up`"
        )
        raise UnavailableError(message)
    with dg.DagsterInstance.get() as instance:
        close_orphans(instance)
        job = defs.resolve_job_def(job_name)
        launcher = {LAUNCHER_TAG: f"{socket.gethostname()}:{os.getpid()}", CAUSE_TAG: "command line"}
        run = instance.create_run_for_job(
            job,
            tags={**tags, **launcher, **_LOCATION_TAGS},
            run_config={**QUIET, **(configuration or {})},
        )
        about = f", {(days[1] - days[0]).days} days from {days[0]}" if days else ""
        yield f"run {run.run_id}: {job_name}{about}"
        yield from _lines(execute_run_iterator(InMemoryJob(job), run, instance))
        finished = instance.get_run_by_id(run.run_id)
        if finished is None or finished.status is not dg.DagsterRunStatus.SUCCESS:
            message = f"run {run.run_id} of {job_name} failed; its log is in Dagster's web server under Runs"
            raise RunFailedError(message)


def _lines(events: Iterator[dg.DagsterEvent]) -> Iterator[str]:
    """One line for each asset, check, failure and retry."""
    started: dict[str, float] = {}
    days: Counter[str] = Counter()
    for event in events:
        step = event.step_key or ""
        if event.event_type is dg.DagsterEventType.STEP_START:
            started[step] = time.monotonic()
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and event.asset_key:
            days[event.asset_key.to_user_string()] += 1
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                subject = f"{check.asset_key.to_user_string()} {check.check_name}"
                yield f"  check {subject}: {check.description or 'failed'}"
        elif event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY:
            yield f"  {step}: a server does not answer; trying again"
        elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
            yield f"  {step} failed: {error.message.strip() if error else 'no reason given'}"
        elif event.event_type is dg.DagsterEventType.STEP_SUCCESS:
            assets = ", ".join(days) or f"checks of {step}"
            yield f"  {assets}: {time.monotonic() - started.get(step, time.monotonic()):.1f} s"
            days.clear()
