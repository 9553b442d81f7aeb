"""Rows of the API's own vehicles and partners in the real stores."""

import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import clickhouse_connect
import psycopg
import redis

from telematics.clock import epoch_ms
from telematics.names import live_key, scores_key
from telematics.settings import Settings
from tests.warehouse.planting import insert_rows

Operate = Callable[[Callable[[Any], Awaitable[Any]]], Awaitable[Any]]
"""Runs an operator's work in a transaction of its own."""

_numbers = itertools.count(1)
FIRST_DAY = date(2015, 6, 1)
"""Far from other tests' days; each test takes two of its own."""


@dataclass(frozen=True)
class Vehicle:
    vin: str
    imei: str
    day: date
    """The first of two UTC days that only this vehicle uses."""


def environment(settings: Settings) -> dict[str, str]:
    """What another process needs to reach the same stack."""
    values = settings.model_dump(include=settings.model_fields_set, exclude_none=True)
    return {f"PISTON_{name.upper()}": str(value) for name, value in values.items()}


def timescale(settings: Settings) -> psycopg.Connection:
    return psycopg.connect(settings.timescale_dsn(), autocommit=True)


def plant_vehicle(settings: Settings) -> Vehicle:
    """A vehicle with a tracker in it."""
    number = next(_numbers)
    vehicle = Vehicle(f"SRVTEST{number:010d}", f"35{number:013d}", FIRST_DAY + timedelta(days=3 * number))
    with timescale(settings) as connection:
        connection.execute("insert into vehicles (vin) values (%s)", [vehicle.vin])
        connection.execute("insert into devices (imei) values (%s)", [vehicle.imei])
        connection.execute(
            "insert into device_installations (imei, vin) values (%s, %s)", [vehicle.imei, vehicle.vin]
        )
    return vehicle


def _row(vehicle: Vehicle, moment: datetime, number: int, **columns: Any) -> dict[str, Any]:
    return {
        "time": moment,
        "device_id": vehicle.imei,
        "vin": vehicle.vin,
        "lat": 42.2808256,
        "lng": -83.7430378,
        "speed_mph": 45.36,
        "heading": 214,
        "odometer": 100.0 + number,
        "odometer_source": "gnss",
        "event_id": 0,
        "satellites": 11,
        "hdop": 0.8,
        "is_valid": True,
        "received_at": moment + timedelta(seconds=1),
        "content_hash": number,
        "stream_position": number,
        **columns,
    }


def plant_hot(settings: Settings, vehicle: Vehicle, start: datetime, count: int, **columns: Any) -> None:
    """Records a second apart in TimescaleDB."""
    with timescale(settings) as connection, connection.cursor() as cursor:
        for number in range(count):
            row = _row(vehicle, start + timedelta(seconds=number), number, dtc_codes=[], **columns)
            cursor.execute(
                f"insert into telemetry ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
                list(row.values()),
            )


def plant_warm(settings: Settings, vehicle: Vehicle, start: datetime, count: int, **columns: Any) -> None:
    """Records a second apart in ClickHouse; their day belongs to ClickHouse from now on."""
    rows = [
        _row(
            vehicle, start + timedelta(seconds=number), number, dtc_codes=["P0300"], dtc_known=True, **columns
        )
        for number in range(count)
    ]
    with clickhouse(settings) as client:
        insert_rows(client, rows)
    with timescale(settings) as connection:
        connection.execute(
            "insert into day_loads (day, loaded_at, run_id, row_count, hot_version, is_provisional,"
            " hot_dropped_at) values (%s, now(), 'planted', %s, 0, false, now())",
            [start.date(), count],
        )


def clickhouse(settings: Settings) -> Any:
    return clickhouse_connect.get_client(
        host=settings.host,
        port=settings.clickhouse_http_port,
        username=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
        autogenerate_session_id=False,
        settings={"async_insert": 0},
    )


def plant_live(settings: Settings, vehicle: Vehicle, moment: datetime, **signals: Any) -> None:
    """Signals of one moment, as the live writer stores them."""
    with redis.Redis.from_url(settings.valkey_url()) as connection:
        connection.hset(
            live_key(vehicle.vin),
            mapping={name: f"{epoch_ms(moment)}|{json.dumps(value)}" for name, value in signals.items()},
        )


def plant_scores(settings: Settings, vehicle: Vehicle, document: dict[str, Any]) -> None:
    """Published figures, as the warehouse stores them."""
    with redis.Redis.from_url(settings.valkey_url()) as connection:
        connection.set(scores_key(vehicle.vin), json.dumps({"vin": vehicle.vin, **document}))


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def path(vehicle: Vehicle, resource: str) -> str:
    return f"/api/v1/vehicles/{vehicle.vin}/{resource}"
