"""The pooled event log: what it leans on in dagster-postgres, and that it stores what the stock one would."""

import inspect
import uuid

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster_postgres import PostgresEventLogStorage

from orchestration.storage import PooledEventLog
from telematics.names import DAGSTER_DATABASE
from telematics.settings import Settings

PRIVATE = {
    "prepare_insert_event_batch": ["self", "events"],
    "_store_asset_event_tags": ["self", "conn", "events", "event_ids"],
    "_store_asset_event": ["self", "conn", "event", "event_id"],
    "_connect": ["self"],
    "index_transaction": ["self"],
}


@pytest.mark.parametrize("name", PRIVATE)
def test_the_private_methods_are_as_they_were(name: str):
    found = list(inspect.signature(getattr(PostgresEventLogStorage, name)).parameters)
    assert found == PRIVATE[name]


def _planned(run_id: str, day: int) -> dg.EventLogEntry:
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
        job_name="refresh_job",
        event_specific_data=AssetMaterializationPlannedData(
            dg.AssetKey(["test", run_id]), partition=f"2026-01-{day:02}"
        ),
    )
    return dg.EventLogEntry(
        error_info=None, level=20, user_message="", run_id=run_id, timestamp=1_767_225_600.0 + day,
        dagster_event=event,
    )  # fmt: skip


@pytest.mark.integration
def test_planned_events_of_a_batch_are_all_stored(stack: Settings):
    password = stack.timescale_password.get_secret_value()
    url = (
        f"postgresql+psycopg2://{stack.timescale_user}:{password}@{stack.host}:{stack.timescale_port}"
        f"/{DAGSTER_DATABASE}"
    )
    run_id = str(uuid.uuid4())
    log = PooledEventLog(url)
    try:
        log.store_event_batch([_planned(run_id, day) for day in (3, 1, 2)])
        stored = [entry.get_dagster_event().partition for entry in log.get_logs_for_run(run_id)]
        assert stored == ["2026-01-03", "2026-01-01", "2026-01-02"]
        assert log.has_asset_key(dg.AssetKey(["test", run_id]))
    finally:
        log.dispose()
        log._engine.dispose()
