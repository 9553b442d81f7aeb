"""The archive's assets on the real servers: what they do, show, refuse, and when they are tried again."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from orchestration.archive import (
    ARCHIVE,
    ARCHIVE_CHECKS,
    ARCHIVED_DAYS,
    archive_retention,
    refusal,
    refuse_archived,
)
from orchestration.loads import SOURCES, analytics_telemetry, out_of_reach
from orchestration.partitions import range_tags
from orchestration.retention import telemetry_retention
from telematics.clock import utc_today
from telematics.settings import Settings
from tests.warehouse.conftest import Fleet
from warehouse.clients import timescale
from warehouse.day_load import load_days
from warehouse.ledger import KeptDay
from warehouse.retention import drop_merged_days

DAY = timedelta(1)
FIRST = date(1998, 3, 2)
"""Before any other test's days, so that what is due here are these days alone."""


def test_a_refusal_names_days_and_what_to_do():
    said = refusal([FIRST + n * DAY for n in range(7)])
    assert "1998-03-02, 1998-03-03" in said
    assert "and 2 more" in said
    assert "materialise analytics/telemetry" in said
    assert "piston archive restore" in out_of_reach([KeptDay(FIRST, "it lies in GLACIER")])


@pytest.fixture
def settings(stack: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Two days that are due, merged and no longer hot, and an archive of the test's own."""
    settings = stack.model_copy(
        update={
            "archive_url": str(tmp_path / "archive"),
            "cold_retention_days": (utc_today() - FIRST).days - 3,
        }
    )
    with timescale(settings) as connection:
        forget_archived_days(connection)
    fleet = Fleet(settings, FIRST)
    imei, _ = fleet.install()
    for number in range(2):
        fleet.write(fleet.make_rows(imei, FIRST + number * DAY, 5))
    load_days(settings, FIRST, FIRST + 2 * DAY, "dagster")
    dropped = drop_merged_days(settings, FIRST + 9 * DAY, 7).dropped
    assert {FIRST, FIRST + DAY} <= set(dropped)
    yield settings
    with timescale(settings) as connection:
        forget_archived_days(connection)


def forget_archived_days(connection: psycopg.Connection) -> None:
    """No day is left whose file went with a test's folder."""
    connection.execute("update day_loads set warm_dropped_at = null, archive_version = null")
    connection.execute("delete from day_archives")


def run(settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [
            *SOURCES,
            analytics_telemetry,
            telemetry_retention,
            archive_retention,
            ARCHIVED_DAYS,
            *ARCHIVE_CHECKS,
        ],
        selection=dg.AssetSelection.assets(archive_retention) | dg.AssetSelection.checks(*ARCHIVE_CHECKS),
        resources={"settings": settings},
        instance=instance,
        raise_on_error=False,
    )


@pytest.mark.integration
def test_due_days_are_archived_shown_as_partitions_and_checked(settings: Settings):
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(settings, instance)
        assert result.success
        [done] = result.asset_materializations_for_node("archive__telemetry_retention")
        shown = {name: value.value for name, value in done.metadata.items()}
        assert (shown["archived_days"], shown["rows"], shown["kept_days"]) == (2, 10, 0)
        assert shown["bytes"] > 0
        assert shown["bytes_per_row"] == round(shown["bytes"] / 10, 3)
        assert instance.get_materialized_partitions(ARCHIVE) == {"1998-03-02", "1998-03-03"}
        verdicts = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
        assert verdicts == {"parity": True, "complete": True, "sound": True}
    with pytest.raises(dg.Failure) as refused:
        refuse_archived(settings, FIRST, FIRST + 5 * DAY)
    assert "1998-03-02, 1998-03-03" in str(refused.value.description)
    load_days(settings, FIRST, FIRST + 2 * DAY, "back")
    refuse_archived(settings, FIRST, FIRST + 5 * DAY)


@pytest.mark.integration
def test_a_storage_that_is_away_is_tried_again_and_drops_nothing(settings: Settings, tmp_path: Path):
    (tmp_path / "file").write_text("")
    away = settings.model_copy(update={"archive_url": str(tmp_path / "file")})
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_asset_context(instance=instance, resources={"settings": away}) as context,
        pytest.raises(dg.RetryRequested),
    ):
        archive_retention(context)
    with timescale(settings) as connection:
        gone = connection.execute(
            "select count(*) from day_loads where day < '1998-04-01' and warm_dropped_at is not null"
        ).fetchone()
    assert gone == (0,)


@pytest.mark.integration
def test_a_fault_in_the_archive_fails_the_check_that_looks_for_it(settings: Settings):
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(settings, instance).success
        [path, _] = sorted(Path(settings.archive).rglob("*.parquet"))
        path.write_bytes(path.read_bytes()[:-3])
        result = run(settings, instance)
        failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
        assert {check.check_name for check in failed} == {"sound"}
        assert path.name in str(failed[0].description)


@pytest.mark.integration
def test_a_load_of_a_day_out_of_reach_fails_and_loads_its_neighbours(settings: Settings):
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(settings, instance).success
    with psycopg.connect(settings.timescale_dsn()) as connection:
        connection.execute("update day_archives set damage = 'planted' where day = %s", [FIRST])
    result = dg.materialize(
        [*SOURCES, analytics_telemetry],
        selection=[analytics_telemetry],
        resources={"settings": settings},
        tags=range_tags(FIRST, FIRST + 2 * DAY),
        raise_on_error=False,
    )
    assert not result.success
    [failure] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    assert "1998-03-02: its archived file is damaged: planted" in str(failure.step_failure_data)
    with timescale(settings) as connection:
        serving = connection.execute(
            "select day, warm_dropped_at is not null from day_loads where day < '1998-04-01' order by day"
        ).fetchall()
    assert serving == [(FIRST, True), (FIRST + DAY, False)]
