"""Buckets are the same whichever tier computes them, and what plain Python makes of the same rows."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from telematics.clock import day_start
from telematics.errors import ConfigurationError
from tests.warehouse.archive.conftest import Road
from tests.warehouse.conftest import Row
from tests.warehouse.history.oracle import MEANS, buckets
from warehouse.day_load import load_days
from warehouse.history import AGGREGATES, HistoryStores, InvalidCursorError, Record, Resolution, read

pytestmark = pytest.mark.integration
DAY = timedelta(1)
RESOLUTIONS = [Resolution.MINUTE, Resolution.HOUR, Resolution.DAY]


def make_awkward_rows(
    road: Road, devices: Sequence[str], vin: str, day: int, chance: random.Random
) -> list[Row]:
    """A day with every kind of gap, records at the very borders of buckets, and several of one moment."""
    start = day_start(road.fleet.day(day))
    offsets_s = [0.0, 0.001, 59.999, 60.0, 3599.999, 3600.0, 3600.0, 3600.0, 86399.999]
    offsets_s += [chance.randrange(86_400_000) / 1000 for _ in range(40)]
    offsets_s += [43_200 + chance.randrange(120_000) / 1000 for _ in range(40)]
    return [
        replace(
            road.fleet.make_rows(chance.choice(devices), road.fleet.day(day), 1)[0],
            time=start + timedelta(milliseconds=round(offset * 1000)),
            received_at=start + timedelta(seconds=chance.randrange(10**5)),
            vin=vin,
            lat=chance.choice([None, 42.25, 91.5, chance.uniform(-90, 90)]),
            lng=chance.choice([None, -83.7, chance.uniform(-180, 180)]),
            is_valid=chance.choice([None, False, True, True]),
            hdop=chance.choice([None, 0.9, 1.7]),
            heading=chance.choice([None, chance.randrange(360)]),
            speed_mph=chance.choice([None, 0.0, chance.randrange(9000) / 100]),
            odometer=chance.choice([None, chance.uniform(1, 1e6)]),
            odometer_source=chance.choice(["gnss", "gnss", "gnss", "can"]),
            dtc_codes=chance.choice([None, None, [], ["P0300"], ["P0A7F", "C0035"]]),
            ignition=chance.choice([None, False, True]),
            satellites=chance.choice([None, 0, 7, 12]),
            event_id=chance.choice([0, 250, 7]),
            altitude_ft=chance.choice([None, 801.1, -3.3]),
            fuel_pct=chance.choice([None, None, 62.0, 61.9]),
            battery_v=chance.choice([None, chance.randrange(9000, 15000) / 1000]),
            rpm=chance.choice([None, 0, chance.randrange(6000)]),
            movement=chance.choice([None, None, None, False, True]),
        )
        for offset in offsets_s
    ]


async def read_all(
    stores: HistoryStores, vin: str, span: tuple[datetime, datetime], limit: int, resolution: Resolution
) -> tuple[list[Record], list[str]]:
    records: list[Record] = []
    tiers: dict[str, None] = {}
    after = None
    while True:
        page = await read(stores, vin, *span, limit=limit, after=after, resolution=resolution)
        assert page.next is None or len(page.records) == limit
        records += page.records
        tiers |= dict.fromkeys(page.tiers)
        if (after := page.next) is None:
            return records, list(tiers)


def as_the_oracle_says(records: list[Record], rows: list[Row], resolution: Resolution) -> None:
    expected = buckets(rows, resolution.width)
    shown = [{name: record[name] for name in expected[0]} for record in records]
    for row in shown:
        for name in MEANS:
            row[name] = pytest.approx(row[name], abs=0.0005)
    assert shown == expected


async def test_each_tier_tells_the_same_buckets(
    road: Road, readers: HistoryStores, hot: psycopg.Connection
) -> None:
    chance = random.Random(6)
    imei, vin = road.fleet.install()
    other, _ = road.fleet.install()
    hot.execute("update device_installations set vin = %s where imei = %s", [vin, other])
    devices = [imei, other, road.fleet.let_write(vin)]
    rows = [row for day in range(3) for row in make_awkward_rows(road, devices, vin, day, chance)]
    road.fleet.write(rows)
    days = [road.fleet.day(number) for number in range(3)]
    # neither end lies at the border of a bucket
    span = day_start(days[0]) + timedelta(seconds=1), day_start(days[2]) + timedelta(hours=12, seconds=90.5)
    inside = [row for row in rows if span[0] <= row.time < span[1]]
    hot_answers = {}
    for resolution in RESOLUTIONS:
        hot_answers[resolution], tiers = await read_all(readers, vin, span, 1000, resolution)
        assert tiers == ["hot"]
        as_the_oracle_says(hot_answers[resolution], inside, resolution)
    road.warm_up(days[:2])
    await assert_same(readers, vin, span, hot_answers, ["cold", "hot"])
    assert road.archive(days[:1]).archived
    await assert_same(readers, vin, span, hot_answers, ["archive", "cold", "hot"])
    late = make_awkward_rows(road, devices, vin, 0, chance)
    road.fleet.write(late)
    load_days(road.settings, days[0], days[0] + DAY, "late")
    inside += [row for row in late if span[0] <= row.time < span[1]]
    for resolution in RESOLUTIONS:
        records, tiers = await read_all(readers, vin, span, 40, resolution)
        assert tiers == ["cold", "hot"]
        as_the_oracle_says(records, inside, resolution)


async def assert_same(
    stores: HistoryStores,
    vin: str,
    span: tuple[datetime, datetime],
    answers: dict[Resolution, list[Record]],
    tiers: list[str],
) -> None:
    """The same to the last digit, in one page and in many."""
    for resolution, answer in answers.items():
        for limit in (1000, 2 if resolution is Resolution.DAY else 40):
            assert await read_all(stores, vin, span, limit, resolution) == (answer, tiers)


async def test_numbers_that_are_no_measurements_do_not_count(road: Road, readers: HistoryStores) -> None:
    imei, vin = road.fleet.install()
    speeds = [float("nan"), float("inf"), float("-inf"), 3e38, 30.0, 50.0]
    rows = [
        replace(row, speed_mph=speed, odometer=speed)
        for row, speed in zip(road.fleet.make_rows(imei, road.fleet.day(), 6), speeds, strict=True)
    ]
    road.fleet.write(rows)
    day = road.fleet.day()
    span = day_start(day), day_start(day + DAY)
    answers: list[Any] = []
    for move in (lambda: None, lambda: road.warm_up([day]), lambda: road.archive([day])):
        move()
        [record], tiers = await read_all(readers, vin, span, 5, Resolution.HOUR)
        assert (record["speed_mph"], record["speed_mph_max"], record["distance_mi"]) == (40.0, 50.0, 20.0)
        answers += tiers
    assert answers == ["hot", "cold", "archive"]


async def test_only_what_is_asked_is_told(road: Road, readers: HistoryStores) -> None:
    imei, vin = road.fleet.install()
    road.fleet.write(road.fleet.make_rows(imei, road.fleet.day(), 3))
    span = day_start(road.fleet.day()), day_start(road.fleet.day(1))
    page = await read(readers, vin, *span, fields=["odometer"], resolution=Resolution.DAY)
    assert page.records == (
        {"time": span[0], "data_points": 3, "odometer": 12345.678901, "distance_mi": 0.0},
    )


async def test_a_cursor_of_another_resolution_is_refused(road: Road, readers: HistoryStores) -> None:
    imei, vin = road.fleet.install()
    road.fleet.write(road.fleet.make_rows(imei, road.fleet.day(), 3, step_s=60))
    span = day_start(road.fleet.day()), day_start(road.fleet.day(1))
    page = await read(readers, vin, *span, limit=1, fields=["odometer"], resolution=Resolution.MINUTE)
    for other in (Resolution.HOUR, Resolution.RAW):
        with pytest.raises(InvalidCursorError):
            await read(readers, vin, *span, after=page.next, fields=["odometer"], resolution=other)


async def test_what_has_no_aggregate_is_refused(readers: HistoryStores) -> None:
    now = datetime.fromisoformat("2026-01-01T00:00:00Z")
    assert "raw_data" not in AGGREGATES
    with pytest.raises(ConfigurationError, match="raw_data"):
        await read(readers, "V", now, now, fields=["raw_data"], resolution=Resolution.HOUR)
