"""Daily figures in Redis, and the odometer history that reads the same mart."""

import json
from datetime import date

import pytest
import redis
from clickhouse_connect.driver.client import Client

from telematics.errors import UnavailableError
from tests.warehouse.conftest import Fleet
from warehouse.history import HistoryStores, OdometerReading, odometer_history
from warehouse.publish import publish_summaries

pytestmark = pytest.mark.integration


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
