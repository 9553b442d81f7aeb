"""One read over all tiers, by the ledger; late records of archived days; damage is never served."""

from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from telematics.errors import UnavailableError
from tests.warehouse.archive.conftest import Road
from tests.warehouse.conftest import Row, with_changes
from warehouse.archive import layout, reading
from warehouse.archive.errors import DamagedError
from warehouse.day_load import load_days
from warehouse.dirty import dirty_days
from warehouse.history import FIELDS, HistoryStores, Page, Record, read

pytestmark = pytest.mark.integration
IDENTITY = ("time", "device_id", "event_id", "content_hash")
DAY = timedelta(1)


@pytest.fixture
async def stores(road: Road) -> AsyncIterator[HistoryStores]:
    opened = await HistoryStores.open(road.settings)
    yield opened
    await opened.close()


async def read_all(
    stores: HistoryStores, vin: str, start: datetime, end: datetime, **options: Any
) -> tuple[list[Record], list[Page]]:
    page = await read(stores, vin, start, end, **options)
    pages = [page]
    while page.next is not None:
        page = await read(stores, vin, start, end, after=page.next, **options)
        pages.append(page)
    return [record for page in pages for record in page.records], pages


def identities(records: list[Record]) -> list[tuple[Any, ...]]:
    return [tuple(record[name] for name in IDENTITY) for record in records]


def expected(rows: list[Row]) -> list[tuple[Any, ...]]:
    return sorted((row.time, row.device_id, row.event_id, row.content_hash) for row in rows)


@pytest.mark.parametrize("limit", [1, 4, 1000])
async def test_pages_across_archive_cold_and_hot_hold_every_record_once(
    road: Road, stores: HistoryStores, limit: int
) -> None:
    imei, vin = road.fleet.install()
    other, _ = road.fleet.install()
    days = [road.fleet.day(number) for number in range(4)]
    rows = [row for day in days for row in road.fleet.make_rows(imei, day, 3)]
    road.write_and_archive([*rows[:6], *road.fleet.make_rows(other, days[0], 4)])
    road.fleet.write(rows[6:])
    road.warm_up(days[2:3])
    span = day_start(days[0]), day_start(days[-1] + DAY)
    records, pages = await read_all(stores, vin, *span, limit=limit)
    assert identities(records) == expected(rows)
    used = list(dict.fromkeys(tier for page in pages for tier in page.tiers))
    assert used == ["archive", "cold", "hot"]
    assert all(page.pending_days == () for page in pages)
    part, _ = await read_all(stores, vin, rows[1].time, rows[4].time, limit=limit, fields=["speed_mph"])
    assert part == [{"speed_mph": 45.36}] * 3


async def test_a_day_of_many_row_groups_is_read_where_the_vehicle_is(
    road: Road, stores: HistoryStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "ROW_GROUP_ROWS", 16)
    day = road.fleet.day()
    fleet = [road.fleet.install() for _ in range(3)]
    rows = {vin: road.fleet.make_rows(imei, day, 40) for imei, vin in fleet}
    [day] = road.write_and_archive([row for part in rows.values() for row in part])
    stored = pq.read_metadata(Path(road.settings.archive) / road.file(day).key)
    assert stored.num_row_groups == 8
    span = day_start(day), day_start(day + DAY)
    for vin, part in rows.items():
        assert identities((await read_all(stores, vin, *span, limit=7))[0]) == expected(part)
        wanted = list(reading.row_groups(stored, vin, *span))
        assert 3 <= len(wanted) <= 4
    assert list(reading.row_groups(stored, "A", *span)) == []
    assert list(reading.row_groups(stored, vin, span[1], span[1] + DAY)) == []


async def test_every_tier_gives_the_same_values(road: Road, stores: HistoryStores) -> None:
    imei, vin = road.fleet.install()
    day = road.fleet.day()
    plain, rich, empty = road.fleet.make_rows(imei, day, 3)
    rows = [
        plain,
        with_changes(
            rich, dtc_codes=["P0300"], raw_data={"250": 1, "x": "ff"}, speed_mph=0.1, altitude_ft=1e-3
        ),
        with_changes(
            empty, dtc_codes=[], lat=None, speed_mph=None, hdop=None, heading=None, is_valid=False,
            ignition=True,
        ),
    ]  # fmt: skip
    road.fleet.write(rows)
    span = day_start(day), day_start(day + DAY)
    hot_records, _ = await read_all(stores, vin, *span)
    road.warm_up([day])
    assert road.archive([day]).archived
    archived, [page] = await read_all(stores, vin, *span)
    assert page.tiers == ("archive",)
    assert archived == hot_records
    assert set(archived[0]) == set(FIELDS)


async def test_a_late_record_of_an_archived_day_becomes_part_of_it_once(
    road: Road, stores: HistoryStores, warm_day: Callable[[date], list[Any]], hot: psycopg.Connection
) -> None:
    imei, vin = road.fleet.install()
    rows = road.fleet.make_rows(imei, road.fleet.day(), 4)
    [day] = road.write_and_archive(rows)
    first = road.file(day)
    late = road.fleet.make_rows(imei, day, 2, start_s=1.5)
    assert road.fleet.write([*late, *rows[:2]]) == 4, "hot no longer knows the two that it had"
    assert dirty_days(road.settings, day, day + DAY) == [day]
    [loaded] = load_days(road.settings, day, day + DAY, "late").days
    assert (loaded.row_count, loaded.hot_rows, loaded.kept_rows) == (6, 4, 4)
    assert len(warm_day(day)) == 6
    span = day_start(day), day_start(day + DAY)
    records, [page] = await read_all(stores, vin, *span)
    assert (identities(records), page.tiers) == (expected(rows + late), ("cold",))
    road.warm_up([day], "again")
    [done] = road.archive([day]).archived
    assert (done.version, done.row_count) == (2, 6)
    records, [page] = await read_all(stores, vin, *span)
    assert (identities(records), page.tiers) == (expected(rows + late), ("archive",))
    # the first file is still there as it was: nothing was written over it
    assert (Path(road.settings.archive) / first.key).stat().st_size == first.byte_count


async def test_a_day_built_anew_from_the_archive_is_the_same_and_needs_no_new_file(
    road: Road, warm_day: Callable[[date], list[Any]]
) -> None:
    imei, _ = road.fleet.install()
    rows = road.fleet.make_rows(imei, road.fleet.day(), 5, dtc_codes=["P0300"], raw_data={"a": 1})
    road.fleet.write(rows)
    day = road.fleet.day()
    road.warm_up([day])
    before = warm_day(day)
    assert [done.version for done in road.archive([day]).archived] == [1]
    assert warm_day(day) == []
    load_days(road.settings, day, day + DAY, "rebuild")
    assert warm_day(day) == before
    assert [done.version for done in road.archive([day]).archived] == [1]


async def test_a_wrong_pairing_is_mended_in_an_archived_day(
    road: Road, stores: HistoryStores, hot: psycopg.Connection
) -> None:
    imei, wrong = road.fleet.install()
    _, right = road.fleet.install()
    rows = road.fleet.make_rows(imei, road.fleet.day(), 3)
    [day] = road.write_and_archive(rows)
    hot.execute("update device_installations set vin = %s where imei = %s", [right, imei])
    load_days(road.settings, day, day + DAY, "corrected")
    assert [done.version for done in road.archive([day]).archived] == [2]
    span = day_start(day), day_start(day + DAY)
    assert (await read_all(stores, wrong, *span))[0] == []
    assert identities((await read_all(stores, right, *span))[0]) == expected(rows)


async def test_an_archive_that_cannot_be_reached_leaves_other_days_readable(road: Road) -> None:
    imei, vin = road.fleet.install()
    days = [road.fleet.day(number) for number in range(2)]
    road.write_and_archive(road.fleet.make_rows(imei, days[0], 3))
    road.fleet.write(road.fleet.make_rows(imei, days[1], 3))
    stores = await HistoryStores.open(road.settings.model_copy(update={"archive_url": "ftp://nowhere"}))
    with pytest.raises(UnavailableError, match="PISTON_ARCHIVE_URL"):
        await read(stores, vin, day_start(days[0]), day_start(days[1]))
    page = await read(stores, vin, day_start(days[1]), day_start(days[1] + DAY))
    assert (len(page.records), page.tiers) == (3, ("hot",))
    await stores.close()


@pytest.mark.parametrize("place", ["page", "footer", "cut", "gone"])
async def test_a_damaged_file_is_named_and_never_served(
    road: Road, stores: HistoryStores, warm: Client, place: str
) -> None:
    imei, vin = road.fleet.install()
    rows = road.fleet.make_rows(imei, road.fleet.day(), 500)
    [day] = road.write_and_archive(rows)
    file = road.file(day)
    path = Path(road.settings.archive) / file.key
    content = bytearray(path.read_bytes())
    if place == "gone":
        path.unlink()
    elif place == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        # the first page's data, or the metadata
        content[60 if place == "page" else len(content) - file.footer_byte_count + 40] ^= 0x10
        path.write_bytes(content)
    with pytest.raises(DamagedError, match=file.key.rpartition("/")[2]):
        await read(stores, vin, day_start(day), day_start(day + DAY))
    road.fleet.write(road.fleet.make_rows(imei, day, 1, start_s=1.5))
    if place == "gone":
        report = load_days(road.settings, day, day + DAY, "late")
        assert file.key in report.out_of_reach[0].reason
        return
    with pytest.raises(DamagedError, match="SHA-256"):
        load_days(road.settings, day, day + DAY, "late")
    assert "SHA-256" in str(road.file(day).damage)
    report = load_days(road.settings, day, day + DAY, "late again")
    assert (report.days, [kept.day for kept in report.out_of_reach]) == ((), [day])
    assert dirty_days(road.settings, day, day + DAY) == [], "no run is asked for that cannot help"
