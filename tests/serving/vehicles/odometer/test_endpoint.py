from datetime import date

import httpx
import pytest

from tests.serving.world import VIN, World
from warehouse.history import OdometerReading

PATH = f"/api/v1/vehicles/{VIN}/odometer-history"


@pytest.fixture
def readings(world: World) -> None:
    world.odometer.stored = [
        OdometerReading(date(2025, 1, 1), 40000.0, "gps_continuous", True),
        OdometerReading(date(2025, 1, 1), 41234.5, "can", False),
        OdometerReading(date(2025, 6, 1), 43500.25, "gps_continuous", True),
        OdometerReading(date(2025, 12, 6), 45632.11731, "gps_continuous", True),
    ]


@pytest.mark.usefixtures("readings")
async def test_the_answer_has_the_blueprints_shape_and_one_source(
    world: World, client: httpx.AsyncClient
) -> None:
    body = (await client.get(PATH, params={"from": "2025-01-01"}, headers=world.headers())).json()
    assert body == {
        "vin": VIN,
        "from": "2025-01-01T00:00:00.000Z",
        "to": "2026-03-01T12:00:00.000Z",
        "units": "imperial",
        "readings": [
            {"date": "2025-01-01", "odometer": 40000.0, "source": "gps_continuous"},
            {"date": "2025-06-01", "odometer": 43500.25, "source": "gps_continuous"},
            {"date": "2025-12-06", "odometer": 45632.117, "source": "gps_continuous"},
        ],
        "anomalies": None,
        "confidence": None,
        "pending": ["anomalies", "confidence"],
        "withheld": [],
    }


@pytest.mark.usefixtures("readings")
async def test_metric_renames_the_reading(world: World, client: httpx.AsyncClient) -> None:
    body = (await client.get(PATH, params={"units": "metric"}, headers=world.headers())).json()
    assert body["readings"][0] == {"date": "2025-01-01", "odometer_km": 64373.76, "source": "gps_continuous"}


@pytest.mark.parametrize(
    ("query", "first", "after_last"),
    [
        ({"from": "2025-01-01", "to": "2025-02-01"}, date(2025, 1, 1), date(2025, 2, 1)),
        ({"from": "2025-01-01T12:00:00Z", "to": "2025-02-01T00:00:01Z"}, date(2025, 1, 1), date(2025, 2, 2)),
        ({"from": "2025-01-01"}, date(2025, 1, 1), date(2026, 3, 2)),
        ({"from": "2025-01-01T00:30:00+01:00", "to": "2025-02-01"}, date(2024, 12, 31), date(2025, 2, 1)),
        ({}, date(2006, 3, 1), date(2026, 3, 2)),
    ],
)
async def test_every_day_that_the_range_touches_is_asked_for(
    query: dict[str, str], first: date, after_last: date, world: World, client: httpx.AsyncClient
) -> None:
    assert (await client.get(PATH, params=query, headers=world.headers())).status_code == 200
    assert world.odometer.asked == [(first, after_last)]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"from": "2026-03-02"}, "#/query/from"),
        ({"from": "2025-02-01", "to": "2025-01-01"}, "#/query/from"),
        ({"from": "2025-02-01", "to": "2025-02-01"}, "#/query/from"),
        ({"from": "2000-01-01", "to": "2026-01-01"}, "#/query/from"),
        ({"from": "1969-12-31"}, "#/query/from"),
        ({"from": "yesterday"}, "#/query/from"),
        ({"from": "2025-01-01", "to": "2025-01-01T10:00:00"}, "#/query/to"),
        ({"from": "2025-01-01", "to": "99999-01-01"}, "#/query/to"),
        ({"from": ""}, "#/query/from"),
        ({"units": "furlongs"}, "#/query/units"),
    ],
)
async def test_a_range_without_sense_is_a_422_that_points_at_it(
    query: dict[str, str], pointer: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get(PATH, params=query, headers=world.headers())
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert world.odometer.asked == []
