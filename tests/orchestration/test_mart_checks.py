"""Whether daily assets were built on time, judged from an instance's own events."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from orchestration.dbt_manifest import contracts
from orchestration.mart_checks import due, due_day, judge_timeliness, last_built
from warehouse.schema_checks import declared_warm

DAY = date(2026, 3, 9)
KEY, NEW = dg.AssetKey(["analytics", "trips"]), dg.AssetKey(["analytics", "brand_new"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as temporary:
        yield temporary


def test_a_day_is_due_two_hours_after_its_end():
    assert due_day(datetime(2026, 3, 10, 1, 59, tzinfo=UTC)) == date(2026, 3, 8)
    assert due_day(datetime(2026, 3, 10, 2, 0, tzinfo=UTC)) == DAY


@pytest.mark.parametrize(
    ("built_at", "passed"),
    [
        (None, False),
        (datetime(2026, 3, 9, 23, 46, tzinfo=UTC), False),  # the day was not over: it was today's refresh
        (datetime(2026, 3, 10, 0, 17, tzinfo=UTC), True),
        (datetime(2026, 3, 10, 9, 0, tzinfo=UTC), True),  # caught up
    ],
)
def test_built_while_the_day_was_not_over_is_not_built(built_at: datetime | None, passed: bool):
    result = judge_timeliness({"analytics/trips"}, {"analytics/trips": built_at}, DAY)
    assert result.passed is passed
    if not passed:
        assert "was not built since in analytics/trips; see the runs of daily_job" in result.description


def test_an_asset_without_any_day_yet_is_not_due(instance: dg.DagsterInstance):
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="2026-03-08"))
    instance.report_runless_asset_event(dg.AssetMaterialization(NEW, partition="2026-03-10"))
    assert due(instance, [KEY, NEW], DAY) == {"analytics/trips"}
    assert due(instance, [KEY], date(2020, 1, 1)) == set(), "before the first partition"


def test_the_planted_fault_is_a_day_that_nobody_built(instance: dg.DagsterInstance):
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="2026-03-08"))

    def verdict() -> bool:
        built = {KEY.to_user_string(): last_built(instance, KEY, DAY)}
        return judge_timeliness(due(instance, [KEY], DAY), built, DAY).passed

    assert not verdict()
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=DAY.isoformat()))
    assert verdict(), "built just now, long after the day"


def test_contracts_say_every_column_of_every_mart():
    declared = contracts("clickhouse")
    assert {"vehicle_analytics", "trips", "ftr_component_days"} <= declared.keys()
    assert declared["vehicle_analytics"]["date"] == "Date"
    assert "telemetry" not in declared, "loaded, not built: see warehouse.schema_checks"
    assert declared_warm()["time"] == "DateTime64(3, 'UTC')"
