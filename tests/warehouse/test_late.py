"""Records that arrive after their day left the hot tier: each day ends as the union, once."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from tests.warehouse.conftest import Fleet, Row
from warehouse.day_load import load_days
from warehouse.dirty import dirty_days
from warehouse.retention import drop_merged_days

pytestmark = pytest.mark.integration
DAY = timedelta(1)
WarmDay = Callable[[date], list[tuple[Any, ...]]]


def settle(fleet: Fleet, days: list[date], run_id: str) -> None:
    """Load what is dirty or new, and drop it from the hot tier."""
    load_days(fleet.settings, days[0], days[-1] + DAY, run_id, only_dirty=True)
    drop_merged_days(fleet.settings, days[-1] + timedelta(8), 7)


def test_a_record_nine_days_late_joins_its_day(fleet: Fleet, warm_day: WarmDay) -> None:
    imei, _ = fleet.install()
    day, arrival = fleet.day(), fleet.day(9)
    fleet.write(fleet.make_rows(imei, day, 4) + fleet.make_rows(imei, arrival, 4))
    settle(fleet, [day], "in time")
    late = fleet.make_rows(imei, day, 1, start_s=1.5)
    assert fleet.write(late) == 1
    assert dirty_days(fleet.settings, day, arrival) == [day]
    settle(fleet, [day], "late")
    assert len(warm_day(day)) == 5
    assert dirty_days(fleet.settings, day, arrival) == []


def test_a_buffer_of_a_month_joins_each_of_its_days_beside_another_device(
    fleet: Fleet, warm_day: WarmDay
) -> None:
    heard, _ = fleet.install()
    silent, _ = fleet.install()
    days = [fleet.day(number) for number in range(29)]
    fleet.write([row for day in days for row in fleet.make_rows(heard, day, 3)])
    settle(fleet, days, "in time")
    buffer = [row for day in days for row in fleet.make_rows(silent, day, 2, start_s=60)]
    fleet.write(buffer)
    assert dirty_days(fleet.settings, days[0], days[-1] + DAY) == days
    settle(fleet, days, "month")
    assert [len(warm_day(day)) for day in days] == [5] * len(days)


def test_a_resend_of_what_left_the_hot_tier_long_ago_changes_nothing(fleet: Fleet, warm_day: WarmDay) -> None:
    imei, _ = fleet.install()
    day = fleet.day()
    rows: list[Row] = fleet.make_rows(imei, day, 6)
    fleet.write(rows)
    settle(fleet, [day], "in time")
    before = warm_day(day)
    assert fleet.write(rows) == 6, "the hot tier no longer knows them"
    settle(fleet, [day], "again")
    assert warm_day(day) == before
    assert fleet.write(rows[:2]) == 2
    settle(fleet, [day], "and again")
    assert warm_day(day) == before
