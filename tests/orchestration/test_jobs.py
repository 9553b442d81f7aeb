import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from orchestration.checks import newest_complete_day
from orchestration.definitions import defs
from orchestration.jobs import (
    archive_job,
    archive_schedule,
    daily_schedule,
    due_day,
    hot_retention_schedule,
    is_running,
    refresh_job,
    today_schedule,
)
from orchestration.late_days import MAX_RANGES, ranges_to_refresh
from orchestration.partitions import CAUSE_TAG


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as temporary:
        yield temporary


def _tick(schedule: dg.ScheduleDefinition, moment: datetime, instance: dg.DagsterInstance):
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=moment, repository_def=defs.get_repository_def()
    ) as context:
        return schedule.evaluate_tick(context)


def test_after_midnight_the_day_that_is_over_is_due(instance: dg.DagsterInstance):
    tick = _tick(daily_schedule, datetime(2026, 3, 1, 0, 15, tzinfo=UTC), instance)
    assert [request.partition_key for request in tick.run_requests] == ["2026-02-28"]


def test_every_quarter_of_an_hour_today_is_due(instance: dg.DagsterInstance):
    tick = _tick(today_schedule, datetime(2026, 3, 1, 23, 45, tzinfo=UTC), instance)
    assert [request.partition_key for request in tick.run_requests] == ["2026-03-01"]


def test_today_is_not_asked_for_twice_while_it_is_at_work(instance: dg.DagsterInstance):
    instance.add_run(
        dg.DagsterRun(
            job_name=refresh_job.name,
            run_id=str(uuid.uuid4()),
            status=dg.DagsterRunStatus.STARTED,
            tags={CAUSE_TAG: "today"},
        )
    )
    assert is_running(instance, refresh_job.name, "today")
    assert not is_running(instance, refresh_job.name, "late days")
    tick = _tick(today_schedule, datetime(2026, 3, 1, 12, 0, tzinfo=UTC), instance)
    assert tick.run_requests == []
    assert "still at work" in tick.skip_message


def test_retention_has_no_partition(instance: dg.DagsterInstance):
    tick = _tick(hot_retention_schedule, datetime(2026, 3, 1, 1, 30, tzinfo=UTC), instance)
    assert [request.partition_key for request in tick.run_requests] == [None]


def test_the_archive_is_looked_after_every_hour_by_one_run_at_a_time(instance: dg.DagsterInstance):
    tick = _tick(archive_schedule, datetime(2026, 3, 1, 2, 50, tzinfo=UTC), instance)
    [request] = tick.run_requests
    assert request.partition_key is None
    instance.add_run(
        dg.DagsterRun(
            job_name=archive_job.name,
            run_id=str(uuid.uuid4()),
            status=dg.DagsterRunStatus.STARTED,
            tags=dict(request.tags),
        )
    )
    later = _tick(archive_schedule, datetime(2026, 3, 1, 3, 50, tzinfo=UTC), instance)
    assert later.run_requests == []


def test_the_day_of_a_tick_is_the_utc_day():
    moment = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
    assert due_day(dg.build_schedule_context(scheduled_execution_time=moment)) == date(2026, 3, 1)


def test_late_days_are_gathered_and_today_is_left_out():
    days = [date(2026, 1, 3), date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 9), date(2026, 1, 10)]
    assert ranges_to_refresh(days, date(2025, 1, 1), today=date(2026, 1, 10)) == [
        (date(2026, 1, 1), date(2026, 1, 4)),
        (date(2026, 1, 9), date(2026, 1, 10)),
    ]


def test_days_before_the_first_partition_and_too_many_ranges_wait():
    days = [date(2024, 12, 31), *(date(2026, 1, n) for n in range(1, 29, 2))]
    ranges = ranges_to_refresh(days, date(2025, 1, 1), today=date(2026, 2, 1))
    assert len(ranges) == MAX_RANGES
    assert ranges[0] == (date(2026, 1, 1), date(2026, 1, 2))


def test_volume_looks_at_a_day_that_is_over():
    today = date(2026, 1, 10)
    assert newest_complete_day((date(2026, 1, 1), date(2026, 1, 5)), today) == date(2026, 1, 4)
    assert newest_complete_day((date(2026, 1, 9), date(2026, 1, 11)), today) == date(2026, 1, 9)
    assert newest_complete_day((today, date(2026, 1, 11)), today) is None
