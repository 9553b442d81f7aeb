"""Many vehicles in one read: each as it reads alone, one after the other, whatever the page size."""

from datetime import datetime, timedelta

import pytest

from telematics.clock import day_start
from telematics.errors import ConfigurationError
from tests.warehouse.archive.conftest import Road
from warehouse.history import HistoryStores, InvalidCursorError, Record, Resolution, read, read_fleet

pytestmark = pytest.mark.integration
DAY = timedelta(1)


async def read_pages(
    stores: HistoryStores,
    vins: list[str],
    span: tuple[datetime, datetime],
    limit: int,
    resolution: Resolution,
) -> dict[str, list[Record]]:
    """VIN to its records over all pages, in the order in which they came."""
    found: dict[str, list[Record]] = {}
    after = None
    while True:
        page = await read_fleet(stores, vins, *span, limit=limit, after=after, resolution=resolution)
        count = sum(len(part.records) for part in page.vehicles)
        assert count == limit if page.next is not None else count <= limit
        for part in page.vehicles:
            assert part.vin not in found or part.records, "named again with nothing new"
            found.setdefault(part.vin, []).extend(part.records)
        if (after := page.next) is None:
            return found


@pytest.mark.parametrize(
    ("resolution", "limits"),
    [(Resolution.RAW, (1, 4, 1000)), (Resolution.HOUR, (5, 1000)), (Resolution.DAY, (1, 1000))],
)
async def test_a_fleet_reads_as_its_vehicles_do_alone(
    road: Road, readers: HistoryStores, resolution: Resolution, limits: tuple[int, ...]
) -> None:
    days = [road.fleet.day(number) for number in range(3)]
    imeis, vins = zip(*(road.fleet.install() for _ in range(6)), strict=True)
    counts = [(0, 0, 0), (4, 0, 3), (0, 0, 0), (1, 7, 0), (0, 2, 5), (3, 3, 3)]
    road.fleet.write(
        [
            row
            for imei, per_day in zip(imeis, counts, strict=True)
            for day, count in zip(days, per_day, strict=True)
            for row in road.fleet.make_rows(imei, day, count, step_s=1800)
        ]
    )
    road.warm_up(days[:2])
    assert road.archive(days[:1]).archived
    span = day_start(days[0]), day_start(days[2] + DAY)
    alone = {vin: list((await read(readers, vin, *span, resolution=resolution)).records) for vin in vins}
    assert any(alone.values())
    # asked for in any order, and twice
    asked = [*reversed(vins), vins[0], "WHTESTUNKNWN00000"]
    for limit in limits:
        found = await read_pages(readers, asked, span, limit, resolution)
        assert found == alone | {"WHTESTUNKNWN00000": []}
        assert list(found) == sorted(found)


async def test_each_vehicle_says_which_tiers_its_records_came_from(
    road: Road, readers: HistoryStores
) -> None:
    days = [road.fleet.day(number) for number in range(2)]
    (one, first), (two, second) = road.fleet.install(), road.fleet.install()
    road.fleet.write([*road.fleet.make_rows(one, days[0], 2), *road.fleet.make_rows(two, days[1], 2)])
    road.warm_up(days[:1])
    page = await read_fleet(readers, [first, second], day_start(days[0]), day_start(days[1] + DAY))
    assert [(part.vin, part.tiers) for part in page.vehicles] == [(first, ("cold",)), (second, ("hot",))]


async def test_a_vehicle_that_may_no_longer_be_read_is_left_out_of_the_next_page(
    road: Road, readers: HistoryStores
) -> None:
    imeis, vins = zip(*(road.fleet.install() for _ in range(3)), strict=True)
    road.fleet.write([row for imei in imeis for row in road.fleet.make_rows(imei, road.fleet.day(), 2)])
    span = day_start(road.fleet.day()), day_start(road.fleet.day(1))
    page = await read_fleet(readers, vins, *span, limit=1)
    page = await read_fleet(readers, vins[1:], *span, limit=10, after=page.next)
    assert [(part.vin, len(part.records)) for part in page.vehicles] == [(vin, 2) for vin in vins[1:]]


async def test_cursors_of_one_vehicle_and_of_a_fleet_are_not_exchanged(
    road: Road, readers: HistoryStores
) -> None:
    imei, vin = road.fleet.install()
    road.fleet.write(road.fleet.make_rows(imei, road.fleet.day(), 3))
    span = day_start(road.fleet.day()), day_start(road.fleet.day(1))
    page = await read(readers, vin, *span, limit=1)
    with pytest.raises(InvalidCursorError):
        await read_fleet(readers, [vin], *span, after=page.next)


async def test_more_vehicles_than_one_read_takes_are_refused(readers: HistoryStores) -> None:
    now = datetime.fromisoformat("2026-01-01T00:00:00Z")
    with pytest.raises(ConfigurationError, match="at most 1000"):
        await read_fleet(readers, [f"V{number}" for number in range(1001)], now, now)
