"""What was loaded, wherever its day lies: read by the API's own reader, archived, brought back, reloaded."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from telematics.errors import ConfigurationError
from telematics.settings import Settings
from tests.warehouse.archive.conftest import (
    BUCKET,
    Road,
    bucket_settings,
    glacier_endpoint,
    make_bucket,
    road,
)
from tests.warehouse.backfill.telemetry.making import (
    NOW,
    World,
    make_rows,
    new_source,
    new_vin,
    write_file,
    write_mapping,
)
from tests.warehouse.conftest import Fleet
from warehouse.archive.archiving import archive_days
from warehouse.archive.ledger import files_of
from warehouse.backfill.telemetry import Request, SourceError, dry_run
from warehouse.backfill.telemetry.errors import MappingError
from warehouse.backfill.telemetry.report import BYTES_A_ROW
from warehouse.history import HistoryStores, Page, read
from warehouse.retention import drop_merged_days

pytestmark = pytest.mark.integration

__all__ = ["glacier_endpoint", "make_bucket", "road"]


@pytest.fixture
async def stores(road: Road) -> AsyncIterator[HistoryStores]:
    opened = await HistoryStores.open(road.settings)
    yield opened
    await opened.close()


@pytest.fixture
def world(road: Road, warm: Client, hot: psycopg.Connection) -> World:
    """With an archive of the test's own."""
    return World(road.settings, warm, hot)


async def page(stores: HistoryStores, fleet: Fleet, vin: str) -> Page:
    return await read(stores, vin, day_start(fleet.day()), day_start(fleet.day(20)))


async def test_the_reader_finds_rows_in_every_tier(
    world: World, fleet: Fleet, road: Road, stores: HistoryStores, tmp_path: Path
):
    vin = world.register(new_vin())
    days = [fleet.day(n) for n in (0, 1, 8)]
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    rows = [row for day in days for row in make_rows(vin, day, 3)]
    now = day_start(days[2]) + timedelta(days=1)
    report = world.load(write_file(tmp_path / "h.csv", rows), mapping, clock=lambda: now)
    assert report.days_by_tier == {"clickhouse": 2, "hot": 1}
    road.archive(days[:1])
    found = await page(stores, fleet, vin)
    assert [record["time"].date() for record in found.records] == [day for day in days for _ in range(3)]
    assert found.tiers == ("archive", "cold", "hot")
    assert [record["coolant_c"] for record in found.records] == [80] * 9
    drop_merged_days(world.settings, days[2] + timedelta(8), 7)
    after = await page(stores, fleet, vin)
    assert (after.records, after.tiers) == (found.records, ("archive", "cold"))


async def test_an_archived_day_comes_back_grows_and_is_archived_anew(
    world: World, fleet: Fleet, road: Road, stores: HistoryStores, tmp_path: Path
):
    vin = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    rows = make_rows(vin, fleet.day(), 8)
    world.load(write_file(tmp_path / "1.csv", rows[:5]), mapping)
    road.archive([fleet.day()])
    assert world.count(vin) == 0
    report = world.load(write_file(tmp_path / "2.csv", rows[3:]), mapping)
    assert (report.loaded_rows, world.count(vin)) == (5, 8)
    road.archive([fleet.day()])
    file = files_of(world.hot, [fleet.day()])[fleet.day()]
    assert (file.version, file.row_count) == (2, 8)
    assert len((await page(stores, fleet, vin)).records) == 8


def test_a_day_whose_file_is_damaged_waits_and_the_others_load(
    world: World, fleet: Fleet, road: Road, tmp_path: Path
):
    vin = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    world.load(write_file(tmp_path / "1.csv", make_rows(vin, fleet.day(), 2)), mapping)
    road.archive([fleet.day()])
    world.hot.execute("update day_archives set damage = 'planted' where day = %s", [fleet.day()])
    more = make_rows(vin, fleet.day(), 4) + make_rows(vin, fleet.day(1), 3)
    file = write_file(tmp_path / "2.csv", more)
    report = world.load(file, mapping)
    assert [kept.day for kept in report.pending] == [fleet.day()]
    assert world.count(vin) == 3
    world.hot.execute("update day_archives set damage = null where day = %s", [fleet.day()])
    report = world.load(file, mapping)
    assert (report.pending, world.count(vin), world.staging_tables()) == ([], 7, 0)


def test_our_own_archive_loads_without_a_mapping_and_doubles_nothing(
    world: World, fleet: Fleet, road: Road, tmp_path: Path
):
    imei, vin = fleet.install()
    other = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    world.load(write_file(tmp_path / "1.csv", make_rows(other, fleet.day(), 4)), mapping)
    rows = fleet.make_rows(imei, fleet.day(), 6, dtc_codes=[], raw_data={"250": 1})
    fleet.write(rows)
    road.warm_up([fleet.day()])
    before = world.rows(vin, other, columns="*")
    road.archive([fleet.day()])
    archive = Path(str(world.settings.archive_url))
    # the archive is lost but for a copy, and the day is empty
    copy = tmp_path / "copy"
    archive.rename(copy)
    world.hot.execute("delete from day_loads where day = %s", [fleet.day()])
    report = world.load(copy)
    assert (report.loaded_rows, report.rejected) == (10, {})
    assert world.rows(vin, other, columns="*") == before


def test_objects_below_a_prefix_are_files(
    world: World, fleet: Fleet, glacier_endpoint: str, make_bucket: Callable[[Settings], Any], tmp_path: Path
):
    vin = world.register(new_vin())
    settings = bucket_settings(world.settings, glacier_endpoint)
    client = make_bucket(settings)
    there = World(settings, world.warm, world.hot)
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    rows = make_rows(vin, fleet.day(), 6)
    for name, part in (("a.csv.gz", rows[:2]), ("deep/b.parquet", rows[2:4]), ("c.ndjson", rows[4:])):
        file = write_file(tmp_path / name, part)
        client.upload_file(str(file), BUCKET, f"history/{name}")
    client.put_object(Bucket=BUCKET, Key="history/README", Body=b"")
    report = there.load(f"s3://{BUCKET}/history", mapping)
    assert (report.file_count, report.loaded_rows, report.skipped_files) == (3, 6, ("README",))
    assert world.count(vin) == 6
    assert not there.load(f"s3://{BUCKET}/history", mapping).is_new
    assert there.load(f"s3://{BUCKET}/history/c.ndjson", mapping).loaded_rows == 2
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        there.load("s3://nowhere/history", mapping)


def test_a_dry_run_says_what_a_load_would_do_and_does_nothing(
    world: World, fleet: Fleet, road: Road, tmp_path: Path
):
    known, stranger = world.register(new_vin()), new_vin()
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    rows = make_rows(known, fleet.day(), 3) + make_rows(stranger, fleet.day(9), 2)
    rows[1]["coolant"] = 999.0
    file = write_file(tmp_path / "h.csv", rows)
    before = world.hot.execute("select count(*) from telemetry_backfills").fetchone()
    now = day_start(fleet.day(10))
    report = dry_run(world.settings, Request(str(file), mapping), clock=lambda: now)
    assert (report.read_rows, report.loaded_rows, report.vehicle_count) == (5, 2, 1)
    assert report.rejected == {"h.csv: a value is out of range": 1, "h.csv: unknown vehicle": 2}
    assert {(each.row_number, each.detail) for each in report.examples} == {(2, "coolant"), (4, ""), (5, "")}
    assert report.days_by_tier == {"warm": 1}
    assert report.estimated_bytes == round(2 * BYTES_A_ROW["warm"])
    assert report.columns.mapped["speed_mph"] == "speed[km/h]"
    assert report.columns.ignored == {"driver"}
    assert world.count(known) == 0
    assert world.hot.execute("select count(*) from telemetry_backfills").fetchone() == before
    assert world.ledger(fleet.day()) is None


def test_what_cannot_be_followed_is_refused(world: World, tmp_path: Path):
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        world.load(tmp_path / "nothing")
    with pytest.raises(SourceError, match="no file that can be read"):
        world.load(tmp_path)
    (tmp_path / "m.toml").write_text("[time]\n")
    write_file(tmp_path / "h.csv", [])
    with pytest.raises(MappingError):
        world.load(tmp_path / "h.csv", tmp_path / "m.toml")


def test_days_past_cold_retention_go_to_clickhouse_and_from_there_to_the_archive(
    world: World, fleet: Fleet, road: Road, tmp_path: Path
):
    vin = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    world.load(write_file(tmp_path / "h.csv", make_rows(vin, fleet.day(), 3)), mapping)
    assert world.count(vin) == 3
    report = archive_days(world.settings, NOW.date(), 730, only=[fleet.day()])
    assert [(done.day, done.row_count) for done in report.archived] == [(fleet.day(), 3)]
