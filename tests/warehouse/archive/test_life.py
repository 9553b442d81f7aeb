"""The whole life of a day with shortened times, and a process that is killed at every step of it."""

import time
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from migrations.clickhouse.tiers import COLD_CODEC, follow_retention
from telematics.clock import day_start, utc_today
from tests.warehouse.archive.conftest import Road
from tests.warehouse.archive.dying import STEPS
from tests.warehouse.archive.test_history import expected, identities, read_all
from tests.warehouse.conftest import Row
from tests.warehouse.dying import die_in
from warehouse.archive.archiving import archive_days
from warehouse.day_load import load_days
from warehouse.dirty import dirty_days
from warehouse.history import HistoryStores
from warehouse.retention import drop_merged_days

pytestmark = pytest.mark.integration
DAY = timedelta(1)
AGE = 5
"""Days; the life of ten years in one week: hot 1, warm 3, cold 4."""


@pytest.fixture
async def stores(road: Road) -> AsyncIterator[HistoryStores]:
    opened = await HistoryStores.open(road.settings)
    yield opened
    await opened.close()


async def tiers_of(stores: HistoryStores, vin: str, day: date, rows: list[Row]) -> tuple[str, ...]:
    """Read the day, which must hold exactly these rows; returns where they lay."""
    records, [page] = await read_all(stores, vin, day_start(day), day_start(day + DAY), limit=5_000)
    assert identities(records) == expected(rows)
    return page.tiers


def parts(warm: Client, day: date) -> set[tuple[str, str]]:
    """Volume and codec of the day's parts."""
    found = warm.query(
        "select disk_name, default_compression_codec from system.parts where active "
        "and database = 'analytics' and table = 'telemetry' and partition = {partition:String}",
        parameters={"partition": f"{day:%Y%m%d}"},
    ).result_rows
    return {(row[0], row[1]) for row in found}


def wait_for_parts(warm: Client, day: date, wanted: set[tuple[str, str]]) -> None:
    deadline = time.monotonic() + 60
    while parts(warm, day) != wanted:
        assert time.monotonic() < deadline, parts(warm, day)
        time.sleep(0.2)


async def test_a_day_lives_through_all_tiers_and_ends_as_the_union_once(
    road: Road, stores: HistoryStores, warm: Client, hot: psycopg.Connection
) -> None:
    today = utc_today()
    day = today - timedelta(AGE)
    imei, vin = road.fleet.install()
    rows = road.fleet.make_rows(imei, day, 2_000, dtc_codes=["P0300"])
    road.fleet.write(rows)
    assert await tiers_of(stores, vin, day, rows) == ("hot",)

    load_days(road.settings, day, day + DAY, "life")
    assert day in drop_merged_days(road.settings, today, 1).dropped
    assert await tiers_of(stores, vin, day, rows) == ("warm",)
    assert {disk for disk, _ in parts(warm, day)} == {"default"}
    assert {codec for _, codec in parts(warm, day)} == {"LZ4"}

    try:
        follow_retention(warm, 3)
        wait_for_parts(warm, day, {("cold", COLD_CODEC)})
        assert await tiers_of(stores, vin, day, rows) == ("cold",)
        # a load into a cold day: staged and swapped in across volumes
        cold_late = road.fleet.make_rows(imei, day, 3, start_s=3_000)
        road.fleet.write(cold_late)
        load_days(road.settings, day, day + DAY, "late into cold")
        rows += cold_late
        assert await tiers_of(stores, vin, day, rows) == ("cold",)
        assert day in drop_merged_days(road.settings, today, 1).dropped

        [done] = archive_days(road.settings, today, 4, only={day}).archived
        assert done.row_count >= len(rows)
        assert parts(warm, day) == set()
        assert await tiers_of(stores, vin, day, rows) == ("archive",)

        late = road.fleet.make_rows(imei, day, 2, start_s=4_000)
        assert road.fleet.write([*late, rows[0], rows[1]]) == 4
        assert dirty_days(road.settings, day, day + DAY) == [day]
        load_days(road.settings, day, day + DAY, "late beyond cold")
        rows += late
        assert await tiers_of(stores, vin, day, rows) == ("cold",)
        assert day in drop_merged_days(road.settings, today, 1).dropped
        [again] = archive_days(road.settings, today, 4, only={day}).archived
        assert (again.version, again.row_count) == (2, done.row_count + 2)
        assert await tiers_of(stores, vin, day, rows) == ("archive",)
    finally:
        follow_retention(warm, road.settings.warm_retention_days)


async def test_killed_at_any_step_no_row_is_lost_or_doubled_and_the_next_run_finishes(
    road: Road, stores: HistoryStores, warm: Client, tmp_path: Path
) -> None:
    imei, vin = road.fleet.install()
    rows: dict[date, list[Row]] = {}
    for number, _ in enumerate(STEPS):
        day = road.fleet.day(number)
        rows[day] = road.fleet.make_rows(imei, day, 20)
        road.fleet.write(rows[day])
    road.warm_up(list(rows))
    served = {}
    for day, step in zip(rows, STEPS, strict=True):
        die_in("tests.warehouse.archive.dying", road.settings, tmp_path, day, step)
        served[step] = await tiers_of(stores, vin, day, rows[day])
    assert served == {
        step: ("archive",) if step in ("ledger committed", "dropped") else ("cold",) for step in STEPS
    }
    report = road.archive(list(rows))
    assert not report.faults
    assert not report.kept
    for day in rows:
        assert parts(warm, day) == set()
        assert await tiers_of(stores, vin, day, rows[day]) == ("archive",)
        # what the dead left is what the living took: a file and its manifest, and no other
        assert len(list((Path(road.settings.archive) / road.file(day).key).parent.iterdir())) == 2
