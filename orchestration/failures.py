"""What failed, as CloudEvents: a run that ended in failure, or a check that did not pass.

Read from Dagster's event log. An event names job, run, step, assets, days, the class of the error and its
sentence. Sentences are masked: whoever reads alerts is not whoever may know vehicles, positions or secrets.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg
from dagster import AssetCheckSeverity, DagsterEventType, EventLogRecord, RunStatusChangeRecordsFilter
from dagster._core.definitions.dependency import NodeHandle  # not public; the version is pinned
from pydantic import SecretStr

from orchestration.partitions import CAUSE_TAG, DAY, days_of_tags
from telematics.clock import rfc3339_ms
from telematics.settings import Settings

SOURCE: Final = "/piston/dagster"
TYPE_PREFIX: Final = "piston.alert."
"""As the alerts of vehicles have it."""
MAX_SENTENCE: Final = 500
MAX_STEPS: Final = 10
"""Failed steps that an event lists."""
_MAX_BUILT: Final = 2_000
"""Materialisations looked at to leave out what a failed step had built before."""
_HIDDEN: Final = "…"

_PRIVATE: Final = (
    re.compile(r"\b(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-HJ-NPR-Z0-9]{17}\b"),  # a VIN (ISO 3779)
    re.compile(r"\b\d{14,17}\b"),  # an IMEI or IMEISV, with or without its check digit
    re.compile(r"-?\b\d{1,3}\.\d{4,}\b"),  # a coordinate
    re.compile(r"(?<=://)[^/\s@]+(?=@)"),  # credentials in an address
    re.compile(r"(?i)(?<=password)['\"]?\s*[=:]\s*\S+"),
    re.compile(r"(?i)\b(?:bearer\s+\S+|whsec_\S+|eyJ[\w-]+\.[\w.-]+)"),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that failed, ready to be sent."""

    storage_id: int
    """Place in Dagster's event log."""
    happened_at: datetime
    event_id: str
    """Of the CloudEvent: the same whenever the failure is read."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """A stretch of the event log."""

    failures: list[Failure]
    """Oldest first."""
    end: int
    """Place up to which it was read; nothing between the last failure and here failed."""


def read_failures(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition | None,
    settings: Settings,
    after: int,
    until: datetime,
    limit: int,
) -> Reading:
    """The failures behind a place in the event log.

    A check that failed for many days of one run is one failure.

    Args:
        instance: whose event log is read.
        repository: knows which step makes which assets; None leaves assets out.
        settings: their secrets are hidden wherever they turn up.
        after: place up to which everything was handled.
        until: what happened later is left to the next reading.
        limit: most records of each kind to look at.
    """
    storage = instance.event_log_storage
    runs = storage.fetch_run_status_changes(
        RunStatusChangeRecordsFilter(DagsterEventType.RUN_FAILURE, after_storage_id=after),
        limit,
        ascending=True,
    ).records
    checks = storage.get_event_records(
        dg.EventRecordsFilter(DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=after),
        limit,
        ascending=True,
    )
    # where one kind was cut off, what lies beyond of the other waits for the next reading
    cut = [records[-1].storage_id for records in (runs, checks) if len(records) == limit]
    late = [record.storage_id - 1 for record in (*runs, *checks) if record.timestamp > until.timestamp()]
    reach = min([*cut, *late], default=None)
    runs, checks = (
        [record for record in records if reach is None or record.storage_id <= reach]
        for records in (runs, checks)
    )
    found = [
        *(_run_failure(instance, repository, settings, record) for record in runs),
        *_check_failures(instance, settings, checks),
    ]
    end = max([after, *(record.storage_id for record in (*runs, *checks))])
    return Reading(sorted(found, key=lambda each: each.storage_id), end)


def newest_place(instance: dg.DagsterInstance) -> int:
    """The end of the event log: what failed before the alerts were switched on is not news."""
    return instance.event_log_storage.get_maximum_record_id() or 0


def _run_failure(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition | None,
    settings: Settings,
    record: EventLogRecord,
) -> Failure:
    run = instance.get_run_by_id(record.run_id)
    steps = instance.get_records_for_run(
        record.run_id, of_type=DagsterEventType.STEP_FAILURE, limit=MAX_STEPS
    ).records
    data: dict[str, Any] = {
        "job": run.job_name if run else None,
        "run_id": record.run_id,
        "cause": run.tags.get(CAUSE_TAG) if run else None,
        "days": _days(run),
        "steps": [_step(instance, repository, settings, run, step) for step in steps],
        # a run whose process was killed has no failed step, only this
        "sentence": masked(record.event_log_entry.user_message or "the run failed", settings),
    }
    return _failure(record, "run_failed", record.run_id, data["job"] or "run", data)


def _step(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition | None,
    settings: Settings,
    run: dg.DagsterRun | None,
    record: EventLogRecord,
) -> dict[str, Any]:
    event = record.event_log_entry.get_dagster_event()
    failed = event.step_failure_data
    error = failed.error
    while error is not None and error.cause is not None:
        error = error.cause
    said = failed.user_failure_data.description if failed.user_failure_data else None
    if not said and error is not None:
        said = error.message.strip().partition(": ")[2] or error.message
    return {
        "step": event.step_key,
        "assets": _unbuilt_assets(instance, repository, run, event.step_key or ""),
        "error": error.cls_name if error else None,
        "sentence": masked(said or "no reason given", settings),
    }


def _unbuilt_assets(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition | None,
    run: dg.DagsterRun | None,
    step_key: str,
) -> list[str]:
    """What the step was to make and the run did not make."""
    if repository is None or run is None or not repository.has_job(run.job_name):
        return []
    layer = repository.get_job(run.job_name).asset_layer
    if layer is None or layer.get_assets_def_for_node(NodeHandle.from_string(step_key)) is None:
        return []
    wanted = {
        key
        for key in layer.get_selected_entity_keys_for_node(NodeHandle.from_string(step_key))
        if isinstance(key, dg.AssetKey)
    }
    built = instance.get_records_for_run(
        run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION, limit=_MAX_BUILT
    ).records
    done = {record.asset_key for record in built}
    return sorted(key.to_user_string() for key in wanted - done)


def _check_failures(
    instance: dg.DagsterInstance, settings: Settings, records: Sequence[EventLogRecord]
) -> Iterator[Failure]:
    seen: set[tuple[str, dg.AssetCheckKey]] = set()
    for record in records:
        check = record.event_log_entry.get_dagster_event().asset_check_evaluation_data
        name = (record.run_id, check.asset_check_key)
        if check.passed or check.severity is not AssetCheckSeverity.ERROR or name in seen:
            continue
        seen.add(name)
        run = instance.get_run_by_id(record.run_id)
        asset = check.asset_key.to_user_string()
        data = {
            "job": run.job_name if run else None,
            "run_id": record.run_id,
            "cause": run.tags.get(CAUSE_TAG) if run else None,
            "days": _days(run),
            "assets": [asset],
            "check": check.check_name,
            "is_blocking": bool(check.blocking),
            "sentence": masked(check.description or "the check did not pass", settings),
        }
        identity = f"{record.run_id}|{asset}|{check.check_name}"
        yield _failure(record, "check_failed", identity, f"{asset} {check.check_name}", data)


def _failure(record: EventLogRecord, kind: str, identity: str, subject: str, data: dict[str, Any]) -> Failure:
    happened_at = datetime.fromtimestamp(record.timestamp, UTC)
    event_id = hashlib.sha256(f"{kind}|{identity}".encode()).hexdigest()[:32]
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": TYPE_PREFIX + kind,
        "subject": subject,
        "time": rfc3339_ms(happened_at),
        "datacontenttype": "application/json",
        "data": data,
    }
    return Failure(record.storage_id, happened_at, event_id, json.dumps(event, ensure_ascii=False).encode())


def _days(run: dg.DagsterRun | None) -> dict[str, str] | None:
    """The run's first and last day."""
    days = days_of_tags(run.tags) if run else None
    return days and {"first": days[0].isoformat(), "last": (days[1] - DAY).isoformat()}


def masked(text: str, settings: Settings) -> str:
    """One line of the text, without what looks like a vehicle, a device, a position or a secret."""
    line = " ".join(text.split())
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and value.get_secret_value():
            line = line.replace(value.get_secret_value(), _HIDDEN)
    for pattern in _PRIVATE:
        line = pattern.sub(_HIDDEN, line)
    return line if len(line) <= MAX_SENTENCE else line[: MAX_SENTENCE - 1] + "…"
