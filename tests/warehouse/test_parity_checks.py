"""Stores that hold the same pass, and a planted difference is named."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start, utc_now
from tests.warehouse.conftest import Fleet
from warehouse import parity_checks
from warehouse.day_load import load_days
from warehouse.parity_checks import DayCounts, DaySums

DAY = date(2026, 1, 1)
MINE = DaySums(2, 10, {"odometer": 5.0, "lat": 264.5})


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (DaySums(3, 10, MINE.sums), "row count"),
        (DaySums(2, 11, MINE.sums), "content_hash"),
        (DaySums(2, 10, {"odometer": 5.001, "lat": 264.5}), "odometer"),
        (DaySums(2, 10, {"odometer": 5.0}), "lat"),
    ],
)
def test_parity_sees_counts_hashes_and_sums(other: DaySums, named: str) -> None:
    assert parity_checks.judge_parity({DAY: MINE}, {DAY: MINE}).passed
    result = parity_checks.judge_parity({DAY: MINE}, {DAY: other})
    assert not result.passed
    assert f"first 2026-01-01, in {named}: " in result.description
    assert result.numbers["first_day"] == "2026-01-01"


def test_sums_may_differ_by_the_order_of_addition() -> None:
    other = DaySums(2, 10, {"odometer": 5.0 + 1e-12, "lat": 264.5})
    assert parity_checks.judge_parity({DAY: MINE}, {DAY: other}).passed


def test_a_mart_may_lag_behind_its_records_while_it_is_being_built() -> None:
    records, built = {DAY: DayCounts(10, 2)}, {DAY: DayCounts(9, 2)}
    assert parity_checks.judge_marts(records, built, just_loaded={DAY}).passed
    result = parity_checks.judge_marts(records, built, just_loaded=set())
    assert not result.passed
    assert "counts 9 records of 2 vehicles, telemetry holds 10 of 2" in result.description


@pytest.mark.integration
def test_parity_fails_when_the_warehouse_lacks_a_row(
    fleet: Fleet, warm: Client, hot: psycopg.Connection
) -> None:
    imei, _ = fleet.install()
    days = [fleet.day(number) for number in range(3)]
    for day in days:
        fleet.write(fleet.make_rows(imei, day, 5))
    load_days(fleet.settings, days[0], fleet.day(3), "one")
    sound = parity_checks.parity(fleet.settings, days)
    assert sound.passed
    assert (sound.numbers["days"], sound.numbers["hot_rows"]) == (3, 15)
    fleet.write(fleet.make_rows(imei, days[0], 1, start_s=50))
    assert parity_checks.parity(fleet.settings, days).numbers["days"] == 2, "a dirty day cannot be compared"
    warm.command(
        f"alter table analytics.telemetry delete where device_id = '{imei}' "
        f"and time = '{days[1]} 00:00:03' settings mutations_sync = 2"
    )
    broken = parity_checks.parity(fleet.settings, days)
    assert not broken.passed
    assert broken.numbers["first_day"] == days[1].isoformat()
    load_days(fleet.settings, days[1], days[2], "two")
    assert parity_checks.parity(fleet.settings, [days[1]]).passed


@pytest.mark.integration
@pytest.mark.parametrize(
    "fault", ["odometer = 1", "lat = lat + 0.00001", "speed_mph = null", "is_valid = false", "crank_v = 9.5"]
)
def test_parity_fails_on_a_value_that_differs(fleet: Fleet, hot: psycopg.Connection, fault: str) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 3))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    assert parity_checks.parity(fleet.settings, [fleet.day()]).passed
    hot.execute(
        f"update telemetry set {fault} where device_id = %s and time = %s", [imei, day_start(fleet.day())]
    )
    broken = parity_checks.parity(fleet.settings, [fleet.day()])
    assert not broken.passed
    assert f", in {fault.partition(' ')[0]}: " in broken.description


@pytest.fixture
def mart(warm: Client) -> Iterator[str]:
    """`vehicle_analytics`, as far as the check reads it, unless dbt made it in this session."""
    name = "analytics.vehicle_analytics"
    is_there = bool(int(warm.command(f"exists table {name}")))
    if not is_there:
        warm.command(
            f"create table {name} (date Date, vin String, record_count UInt32) "
            "engine = MergeTree partition by toYYYYMM(date) order by (vin, date)"
        )
    yield name
    if not is_there:
        warm.command(f"drop table {name} sync")


@pytest.mark.integration
def test_a_mart_that_lost_a_record_or_a_vehicle_fails(fleet: Fleet, warm: Client, mart: str) -> None:
    (one, vin), (two, other_vin) = fleet.install(), fleet.install()
    day, until = fleet.day(), fleet.day(1)
    fleet.write(fleet.make_rows(one, day, 4) + fleet.make_rows(two, day, 3))
    load_days(fleet.settings, day, until, "one")

    def result(clock=lambda: utc_now() + timedelta(hours=2)):
        return parity_checks.marts_hold_every_record(fleet.settings, day, until, clock=clock)

    assert result(utc_now).passed, "loaded just now: the marts may be at work"
    assert not result().passed, "loaded, and never built"
    warm.command(f"insert into {mart} (date, vin, record_count) values ('{day}', '{vin}', 4)")
    assert not result().passed, "a vehicle is missing"
    warm.command(f"insert into {mart} (date, vin, record_count) values ('{day}', '{other_vin}', 3)")
    sound = result()
    assert sound.passed
    assert (sound.numbers["records"], sound.numbers["built_records"]) == (7, 7)
    warm.command(
        f"alter table {mart} update record_count = 3 where date = '{day}' and vin = '{vin}' "
        "settings mutations_sync = 2"
    )
    broken = result()
    assert not broken.passed
    assert "counts 6 records of 2 vehicles, telemetry holds 7 of 2" in broken.description
    warm.command(f"alter table {mart} delete where date = '{day}' settings mutations_sync = 2")


@pytest.mark.integration
def test_a_day_without_records_and_without_marts_is_whole(fleet: Fleet, mart: str) -> None:
    result = parity_checks.marts_hold_every_record(
        fleet.settings, fleet.day(), fleet.day(1), clock=lambda: datetime(2030, 1, 1, tzinfo=UTC)
    )
    assert result.passed
    assert result.numbers["days"] == 0
