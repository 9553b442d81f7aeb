"""One read over both tiers: every record once, in one order, with the same values."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from telematics.clock import day_start
from telematics.errors import ConfigurationError
from telematics.settings import Settings
from tests.warehouse.conftest import Fleet, Row, with_changes
from warehouse.day_load import load_days
from warehouse.history import FIELDS, HistoryStores, InvalidCursorError, Page, Record, read
from warehouse.retention import drop_merged_days

pytestmark = pytest.mark.integration
IDENTITY = ("time", "device_id", "event_id", "content_hash")


@pytest.fixture
async def stores(stack: Settings) -> AsyncIterator[HistoryStores]:
    opened = await HistoryStores.open(stack)
    yield opened
    await opened.close()


def span(fleet: Fleet, days: int = 20) -> tuple[datetime, datetime]:
    return day_start(fleet.day()), day_start(fleet.day(days))


def warm_up(fleet: Fleet, days: int) -> None:
    """Move the fleet's first days to ClickHouse alone."""
    load_days(fleet.settings, fleet.day(), fleet.day(days), "one")
    dropped = drop_merged_days(fleet.settings, fleet.day(days + 7), 7).dropped
    assert {fleet.day(number) for number in range(days)} <= set(dropped)


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


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
async def test_pages_across_the_border_hold_every_record_once(
    fleet: Fleet, stores: HistoryStores, limit: int
) -> None:
    imei, vin = fleet.install()
    other, _ = fleet.install()
    rows = [row for day in range(4) for row in fleet.make_rows(imei, fleet.day(day), 5)]
    fleet.write(rows + fleet.make_rows(other, fleet.day(1), 5))
    warm_up(fleet, 2)
    records, pages = await read_all(stores, vin, *span(fleet), limit=limit)
    assert identities(records) == expected(rows)
    assert all(len(page.records) == limit for page in pages[:-1])
    assert (pages[0].tiers[0], pages[-1].tiers[-1]) == ("cold", "hot")


async def test_what_partners_posted_is_read_with_what_the_device_sent(
    fleet: Fleet, stores: HistoryStores
) -> None:
    imei, vin = fleet.install()
    _, other = fleet.install()
    partner = fleet.let_write(vin)
    rows = [
        row
        for day in range(3)
        for device in (imei, partner)
        for row in fleet.make_rows(device, fleet.day(day), 4, vin=vin)
    ]
    fleet.write(rows + fleet.make_rows(partner, fleet.day(2), 3, vin=other, start_s=0.5))
    warm_up(fleet, 2)
    records, _ = await read_all(stores, vin, *span(fleet), limit=5)
    assert identities(records) == expected(rows)


async def test_both_tiers_give_the_same_values(fleet: Fleet, stores: HistoryStores) -> None:
    imei, vin = fleet.install()
    plain, rich, empty = fleet.make_rows(imei, fleet.day(), 3)
    rows = [
        plain,
        with_changes(
            rich, dtc_codes=["P0300"], raw_data={"250": 1, "x": "ff"}, speed_mph=0.1, altitude_ft=1e-3
        ),
        with_changes(
            empty,
            dtc_codes=[],
            lat=None,
            speed_mph=None,
            hdop=None,
            heading=None,
            is_valid=False,
            ignition=True,
        ),
    ]
    fleet.write(rows)
    hot_records, hot_pages = await read_all(stores, vin, *span(fleet))
    warm_up(fleet, 1)
    warm_records, warm_pages = await read_all(stores, vin, *span(fleet))
    assert (hot_pages[0].tiers, warm_pages[0].tiers) == (("hot",), ("cold",))
    assert warm_records == hot_records
    assert set(hot_records[0]) == set(FIELDS)
    assert [record["dtc_codes"] for record in hot_records] == [None, ["P0300"], []]
    assert hot_records[1]["speed_mph"] == 0.1
    assert all(record["vin"] == vin for record in hot_records)


async def test_a_day_that_moves_between_two_pages_is_neither_lost_nor_doubled(
    fleet: Fleet, stores: HistoryStores
) -> None:
    imei, vin = fleet.install()
    rows = [row for day in range(3) for row in fleet.make_rows(imei, fleet.day(day), 10)]
    fleet.write(rows)
    first = await read(stores, vin, *span(fleet), limit=15)
    assert first.tiers == ("hot",)
    warm_up(fleet, 3)
    second = await read(stores, vin, *span(fleet), limit=15, after=first.next)
    assert second.tiers == ("cold",)
    assert identities([*first.records, *second.records]) == expected(rows)
    assert second.next is None


async def test_reading_while_retention_drops_the_days_loses_nothing(
    fleet: Fleet, stores: HistoryStores
) -> None:
    imei, vin = fleet.install()
    rows = [row for day in range(20) for row in fleet.make_rows(imei, fleet.day(day), 10)]
    fleet.write(rows)
    load_days(fleet.settings, fleet.day(), fleet.day(20), "one")
    dropping = asyncio.create_task(
        asyncio.to_thread(drop_merged_days, fleet.settings, fleet.day(27), 7), name="retention"
    )
    tiers: set[tuple[str, ...]] = set()
    while not dropping.done() or len(tiers) < 2:
        page = await read(stores, vin, *span(fleet), fields=IDENTITY)
        assert identities(list(page.records)) == expected(rows)
        tiers.add(page.tiers)
    assert fleet.day(19) in (await dropping).dropped
    assert tiers >= {("hot",), ("cold",)}


async def test_a_vehicle_with_two_devices_reads_as_one_series(fleet: Fleet, stores: HistoryStores) -> None:
    first, vin = fleet.install()
    second, _ = fleet.install()
    with psycopg.connect(fleet.settings.timescale_dsn()) as connection:
        connection.execute("delete from device_installations where imei = %s", [second])
        connection.execute("insert into device_installations (imei, vin) values (%s, %s)", [second, vin])
    moments = {"start_s": 10.0, "step_s": 1.0}
    rows = [
        *fleet.make_rows(first, fleet.day(), 6, **moments),
        *fleet.make_rows(second, fleet.day(), 6, **moments),
        *fleet.make_rows(first, fleet.day(), 6, event_id=7, **moments),
        *fleet.make_rows(second, fleet.day(1), 6, **moments),
        *fleet.make_rows(first, fleet.day(1), 6, **moments),
    ]
    fleet.write(rows)
    for limit in (1, 4):
        records, _ = await read_all(stores, vin, *span(fleet), limit=limit, fields=IDENTITY)
        assert identities(records) == expected(rows)
    warm_up(fleet, 1)
    for limit in (1, 4):
        records, _ = await read_all(stores, vin, *span(fleet), limit=limit, fields=IDENTITY)
        assert identities(records) == expected(rows)


async def test_records_from_before_the_installation_belong_to_another_vehicle(
    fleet: Fleet, stores: HistoryStores
) -> None:
    noon = day_start(fleet.day()) + timedelta(hours=12)
    imei, before = fleet.install(until=noon)
    _, after = fleet.install(imei, since=noon)
    fleet.write(fleet.make_rows(imei, fleet.day(), 4, start_s=43_200 - 2))
    for is_warm in (False, True):
        if is_warm:
            warm_up(fleet, 1)
        mine, _pages = await read_all(stores, before, *span(fleet))
        theirs, _pages = await read_all(stores, after, *span(fleet))
        assert [record["time"] for record in mine] == [noon - timedelta(seconds=s) for s in (2, 1)]
        assert [record["time"] for record in theirs] == [noon, noon + timedelta(seconds=1)]


async def test_the_range_is_half_open_to_the_millisecond(fleet: Fleet, stores: HistoryStores) -> None:
    imei, vin = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 4, step_s=0.001))
    start = day_start(fleet.day())
    for is_warm in (False, True):
        if is_warm:
            warm_up(fleet, 1)
        page = await read(stores, vin, start + timedelta(milliseconds=1), start + timedelta(milliseconds=3))
        assert [record["time"].microsecond for record in page.records] == [1000, 2000]


async def test_an_unknown_vehicle_and_an_empty_range_give_an_empty_page(
    fleet: Fleet, stores: HistoryStores
) -> None:
    _, vin = fleet.install()
    assert await read(stores, "WHTESTUNKNWN00000", *span(fleet)) == Page((), (), None)
    start, _ = span(fleet)
    assert await read(stores, vin, start, start) == Page((), (), None)


async def test_a_cursor_of_another_vehicle_is_refused(fleet: Fleet, stores: HistoryStores) -> None:
    imei, vin = fleet.install()
    _, other = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 3))
    page = await read(stores, vin, *span(fleet), limit=2)
    with pytest.raises(InvalidCursorError):
        await read(stores, other, *span(fleet), limit=2, after=page.next)


async def test_unknown_fields_and_limits_below_one_are_refused(stores: HistoryStores) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="no_such"):
        await read(stores, "V", now, now, fields=["no_such"])
    with pytest.raises(ConfigurationError, match="limit"):
        await read(stores, "V", now, now, limit=0)
