"""Daily figures in Redis, and the odometer history that reads the same mart."""

import json
from collections.abc import Iterator
from datetime import date

import pytest
import redis
from clickhouse_connect.driver.client import Client

from telematics.errors import UnavailableError
from telematics.settings import Settings
from tests.warehouse.conftest import Fleet
from warehouse.history import HistoryStores, OdometerReading, odometer_history
from warehouse.publish import Driving, Odometer, build_summary, publish_summaries

WEEK = Driving(date(2026, 1, 7), 16_093.44, 1_200.0, 3, 2, True, 9, 5)

# the columns of dbt's marts that publishing reads; used only while dbt has not built the real ones
MARTS = {
    "vehicle_analytics": "date Date, vin String, hard_brakes UInt16, hard_accels UInt16, trip_count UInt16, "
    "distance_m Float64, driving_s Float64, reports_harsh_events Bool",
    "odometer_readings": "date Date, vin String, source LowCardinality(String), odometer Float64, "
    "last_read_at DateTime64(3, 'UTC'), is_primary Bool",
}


@pytest.fixture
def marts(warm: Client) -> Iterator[Client]:
    """Both marts, made here when dbt has not."""
    made = []
    for name, structure in MARTS.items():
        if warm.command(f"exists table analytics.{name}") == 0:
            warm.command(
                f"create table analytics.{name} ({structure}) engine = MergeTree order by (vin, date)"
            )
            made.append(name)
    yield warm
    for name in made:
        warm.command(f"drop table analytics.{name} sync")


@pytest.fixture
def published(stack: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(stack.valkey_url(), decode_responses=True) as connection:
        yield connection


def plant_day(client: Client, vin: str, day: date, metres: float, **columns: float) -> None:
    values = {
        "hard_brakes": 1,
        "hard_accels": 0,
        "trip_count": 2,
        "driving_s": 100,
        "reports_harsh_events": 1,
    }
    values |= columns
    client.command(
        f"insert into analytics.vehicle_analytics (date, vin, distance_m, {', '.join(values)}) "
        f"values ('{day}', '{vin}', {metres}, {', '.join(str(value) for value in values.values())})"
    )


def plant_reading(client: Client, vin: str, day: date, miles: float, source: str, *, primary: bool) -> None:
    client.command(
        "insert into analytics.odometer_readings (date, vin, source, odometer, last_read_at, is_primary) "
        f"values ('{day}', '{vin}', '{source}', {miles}, '{day} 18:00:00', {primary})"
    )


def test_a_summary_has_the_agreed_shape() -> None:
    assert build_summary("V", WEEK, Odometer(45_632.1234, "gps_continuous", date(2026, 1, 6))) == {
        "vin": "V",
        "as_of": "2026-01-07",
        "odometer": {"miles": 45_632.123, "source": "gps_continuous", "date": "2026-01-06"},
        "driving": {
            "avg_speed_mph_7d": 30.0,
            "hard_brakes_7d": 3,
            "hard_accels_7d": 2,
            "distance_mi_7d": 10.0,
            "trips_7d": 9,
            "days_with_data_7d": 5,
        },
    }


def test_what_is_not_known_is_null_not_zero() -> None:
    summary = build_summary("V", Driving(date(2026, 1, 7), 0.0, 0.0, 0, 0, False, 0, 1), None)
    assert summary["odometer"] is None
    driving = summary["driving"]
    assert (driving["hard_brakes_7d"], driving["hard_accels_7d"], driving["avg_speed_mph_7d"]) == (
        None,
        None,
        None,
    )
    assert (driving["distance_mi_7d"], driving["trips_7d"]) == (0.0, 0)


@pytest.mark.integration
def test_each_vehicle_gets_the_week_that_ends_with_its_own_newest_day(
    fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, driven = fleet.install()
    _, parked = fleet.install()
    for number in range(10):
        plant_day(marts, driven, fleet.day(number), 1_609.344)
    plant_day(marts, parked, fleet.day(1), 16_093.44, reports_harsh_events=0)
    plant_day(marts, parked, fleet.day(20), 999.0)
    plant_reading(marts, driven, fleet.day(3), 100.0, "gps_continuous", primary=True)
    plant_reading(marts, driven, fleet.day(8), 105.5, "gps_continuous", primary=True)
    plant_reading(marts, driven, fleet.day(9), 9_999.0, "can", primary=False)
    report = publish_summaries(fleet.settings, fleet.day(9))
    assert report.vehicle_count >= 2
    summary = json.loads(str(published.get(f"scores:{driven}")))
    assert summary["as_of"] == fleet.day(9).isoformat()
    assert summary["odometer"] == {
        "miles": 105.5,
        "source": "gps_continuous",
        "date": fleet.day(8).isoformat(),
    }
    assert (summary["driving"]["distance_mi_7d"], summary["driving"]["trips_7d"]) == (7.0, 14)
    assert (summary["driving"]["days_with_data_7d"], summary["driving"]["hard_brakes_7d"]) == (7, 7)
    stood = json.loads(str(published.get(f"scores:{parked}")))
    assert (stood["as_of"], stood["odometer"]) == (fleet.day(1).isoformat(), None)
    assert (stood["driving"]["distance_mi_7d"], stood["driving"]["hard_brakes_7d"]) == (10.0, None)


@pytest.mark.integration
def test_the_last_good_figures_stay_when_a_query_fails(
    fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, vin = fleet.install()
    plant_day(marts, vin, fleet.day(), 1_609.344)
    publish_summaries(fleet.settings, fleet.day())
    before = published.get(f"scores:{vin}")
    plant_day(marts, vin, fleet.day(1), 5_000.0)
    marts.command("rename table analytics.odometer_readings to analytics.odometer_readings_away")
    try:
        with pytest.raises(UnavailableError, match="ClickHouse"):
            publish_summaries(fleet.settings, fleet.day(1))
    finally:
        marts.command("rename table analytics.odometer_readings_away to analytics.odometer_readings")
    assert published.get(f"scores:{vin}") == before


@pytest.mark.integration
async def test_odometer_history_is_half_open_and_of_one_vehicle(fleet: Fleet, marts: Client) -> None:
    _, vin = fleet.install()
    _, other = fleet.install()
    for number in range(4):
        plant_reading(marts, vin, fleet.day(number), 100.5 + number, "gps_continuous", primary=True)
    plant_reading(marts, vin, fleet.day(1), 7.0, "can", primary=False)
    plant_reading(marts, other, fleet.day(1), 8.0, "can", primary=True)
    stores = await HistoryStores.open(fleet.settings)
    try:
        readings = await odometer_history(stores, vin, fleet.day(1), fleet.day(3))
    finally:
        await stores.close()
    assert readings == [
        OdometerReading(fleet.day(1), 7.0, "can", False),
        OdometerReading(fleet.day(1), 101.5, "gps_continuous", True),
        OdometerReading(fleet.day(2), 102.5, "gps_continuous", True),
    ]
