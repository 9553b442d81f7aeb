"""Any day or range is rebuilt from any tier to identical rows, in telemetry and in every mart."""

from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.units import miles_from_metres
from tests.warehouse.archive.conftest import Road
from tests.warehouse.conftest import Fleet, Row
from tests.warehouse.marts import TABLES, build, content
from warehouse.day_load import load_days
from warehouse.retention import drop_merged_days

pytestmark = pytest.mark.integration
DAY = timedelta(1)


@pytest.fixture
def road(fleet: Fleet, tmp_path: Path) -> Road:
    """A fleet and an archive in a folder of the test's own."""
    settings = fleet.settings.model_copy(update={"archive_url": str(tmp_path / "archive")})
    return Road(fleet, settings)


def drives(fleet: Fleet, imei: str, day: date) -> list[Row]:
    """A drive at noon, hard braking in it, and one over midnight; a trouble code in the evening."""
    rows = []
    speeds = [20.0] * 30 + [36.0, 36.0, 27.0, 18.0, 9.0] + [0.0] * 5
    for number, speed in enumerate(speeds):
        rows += fleet.make_rows(
            imei, day, 1, start_s=43_200 + number, speed_mph=speed, ignition=number < 39,
            odometer_gnss_m=1_000_000 + number * 8, odometer=miles_from_metres(1_000_000 + number * 8),
        )  # fmt: skip
    return rows + fleet.make_rows(
        imei, day, 240, start_s=85_500, step_s=10, speed_mph=36.0, ignition=True, dtc_codes=["P0420"],
        odometer_gnss_m=2_000_000, odometer=miles_from_metres(2_000_000),
    )  # fmt: skip


def test_a_day_comes_out_the_same_from_every_tier(
    road: Road, warm: Client, hot: psycopg.Connection, tmp_path: Path
) -> None:
    """Days in the archive, in ClickHouse, and in ClickHouse and the hot tier."""
    fleet, settings = road.fleet, road.settings
    imei, vin = fleet.install()
    days = [fleet.day(number) for number in range(4)]
    until = days[-1] + DAY
    fleet.write([row for day in days for row in drives(fleet, imei, day)])
    load_days(settings, days[0], until + DAY, "first")
    build(settings, days[0], until, tmp_path)
    before = content(warm, [vin])
    empty = [table for table in TABLES if not before[table]]
    assert empty == ["fuel_and_supply_days"], "the fleet's rows have no 12 V supply; all else is compared"
    assert len(before["trips"]) == 2 * len(days)

    dropped = drop_merged_days(settings, days[1] + 8 * DAY, 7).dropped
    assert set(dropped) >= set(days[:2])
    road.archive(days[:1])
    assert len(content(warm, [vin])["telemetry"]) < len(before["telemetry"])

    # the day comes back, and nothing changes
    load_days(settings, days[0], days[1], "from the archive")
    build(settings, days[0], days[1], tmp_path)
    assert content(warm, [vin]) == before
    # the last day as if ClickHouse had lost it: the hot tier still has it
    warm.command(f"alter table analytics.telemetry drop partition {days[3]:%Y%m%d}")
    load_days(settings, days[1], until + DAY, "from ClickHouse, from the hot tier, from both")
    build(settings, days[1], until, tmp_path)
    assert content(warm, [vin]) == before
