"""A day load that is killed leaves what readers had, or the whole new day; the next load ends it."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from tests.warehouse.conftest import Fleet
from tests.warehouse.dying import die_in
from tests.warehouse.dying_load import STEPS
from warehouse.day_load import load_days
from warehouse.dirty import dirty_days

pytestmark = pytest.mark.integration
DAY = timedelta(1)
BEFORE, LATE = 20, 5
READABLE = {"crossing": BEFORE, "staged": BEFORE}
"""Rows that a day has after the kill; after the swap it is the whole day."""


def rows_of(warm: Client, imei: str) -> Counter[date]:
    found = warm.query(
        "select toDate(time, 'UTC'), count() from analytics.telemetry where device_id = {imei:String} "
        "group by 1",
        parameters={"imei": imei},
    )
    return Counter({day: int(count) for day, count in found.result_rows})


def test_killed_at_any_step_days_are_whole_and_the_next_load_ends_them(
    fleet: Fleet, warm: Client, tmp_path: Path
):
    imei, _ = fleet.install()
    for number, step in enumerate(STEPS):
        days = [fleet.day(2 * number), fleet.day(2 * number + 1)]
        for day in days:
            fleet.write(fleet.make_rows(imei, day, BEFORE))
        load_days(fleet.settings, days[0], days[1] + DAY, "before")
        for day in days:
            fleet.write(fleet.make_rows(imei, day, LATE, start_s=50_000))
        die_in("tests.warehouse.dying_load", fleet.settings, tmp_path, days[0], step)
        found = rows_of(warm, imei)
        expected = READABLE.get(step, BEFORE + LATE)
        assert [found[day] for day in days] == [expected] * 2, step
        # nobody is told that a day is whole before the ledger says so
        left = [] if step == "ledger committed" else days
        assert dirty_days(fleet.settings, days[0], days[1] + DAY) == left, step
        report = load_days(fleet.settings, days[0], days[1] + DAY, "after", only_dirty=True)
        assert [done.day for done in report.days] == left
        assert [rows_of(warm, imei)[day] for day in days] == [BEFORE + LATE] * 2, step
        assert not dirty_days(fleet.settings, days[0], days[1] + DAY)
    stale = warm.query(
        "select count() from system.tables where database = 'analytics' and startsWith(name, 'telemetry__')"
    )
    assert stale.result_rows == [(0,)]
