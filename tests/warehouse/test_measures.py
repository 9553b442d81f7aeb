"""Sizes and quality against rows that are known."""

from datetime import date, timedelta

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from tests.warehouse.conftest import Fleet
from warehouse import measures
from warehouse.day_load import load_days
from warehouse.measures import Size

DAY = date(2026, 1, 1)


def test_a_size_says_ratios_only_where_there_is_something_to_divide_by() -> None:
    size = Size(100, 2_500, plain_bytes=20_000, packed_bytes=2_000)
    assert (size.bytes_per_row, size.compression_ratio) == (25.0, 10.0)
    assert (Size(0, 0).bytes_per_row, Size(0, 0).compression_ratio) == (None, None)


@pytest.mark.parametrize(("limit", "count"), [(0, 1), (10, 1), (20, 2), (29, 2), (100, 3)])
def test_quality_is_read_of_the_newest_days_and_never_of_none(limit: int, count: int) -> None:
    sizes = {DAY + timedelta(n): Size(10, 1) for n in range(3)}
    assert measures.newest_days(sizes, limit) == sorted(sizes)[-count:]
    assert measures.newest_days({}, limit) == []


@pytest.mark.integration
def test_days_tell_their_rows_bytes_and_quality(fleet: Fleet, warm: Client) -> None:
    imei, _ = fleet.install()
    late = day_start(fleet.day()) + timedelta(days=3)
    fleet.write(
        fleet.make_rows(imei, fleet.day(), 6)
        + fleet.make_rows(imei, fleet.day(), 2, start_s=100, is_valid=False)
        + fleet.make_rows(imei, fleet.day(), 1, start_s=200, is_valid=None, lat=None)
        + fleet.make_rows(imei, fleet.day(), 1, start_s=300, received_at=late)
        + fleet.make_rows(imei, fleet.day(2), 4)
    )
    load_days(fleet.settings, fleet.day(), fleet.day(3), "one")
    sizes = measures.telemetry_days(warm, fleet.day(), fleet.day(3))
    assert {day: size.rows for day, size in sizes.items()} == {fleet.day(): 10, fleet.day(2): 4}
    assert all(size.bytes_on_disk > 0 and size.compression_ratio for size in sizes.values())
    quality = measures.telemetry_quality(warm, [fleet.day(), fleet.day(1)])
    assert quality.keys() == {fleet.day()}
    assert (quality[fleet.day()].no_fix_share, quality[fleet.day()].late_share) == (0.3, 0.1)


@pytest.mark.integration
def test_a_day_is_counted_in_the_tier_that_holds_it(
    fleet: Fleet, warm: Client, hot: psycopg.Connection
) -> None:
    before = {tier.tier: tier for tier in measures.tiers(fleet.settings)}
    assert list(before) == ["hot", "warm", "cold", "archive"]
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 5))
    written = {tier.tier: tier for tier in measures.tiers(fleet.settings)}
    assert (written["hot"].days, written["hot"].rows) == (before["hot"].days + 1, before["hot"].rows + 5)
    assert written["hot"].bytes_on_disk > before["hot"].bytes_on_disk
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    loaded = {tier.tier: tier for tier in measures.tiers(fleet.settings)}
    # the day is older than warm retention: the load itself puts it on the cold volume
    rows = {name: sum(tiers[part].rows for part in ("warm", "cold")) for name, tiers in
            (("before", before), ("loaded", loaded))}  # fmt: skip
    assert rows["loaded"] == rows["before"] + 5
