"""Daily figures per vehicle from the marts into Redis, as `scores:{vin}`.

Everything is read before anything is written: when a query fails, the last good figures stay. A vehicle's
figures are of its own newest day with data (`as_of`) and the seven days that end there, so a car that has
stood for a month keeps its last week rather than showing zeros.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

import redis
from clickhouse_connect.driver.client import Client

from telematics.errors import UnavailableError
from telematics.names import ANALYTICS_DATABASE, scores_key
from telematics.settings import Settings
from telematics.units import miles_from_metres
from warehouse import clients

WINDOW_DAYS = 7
_PIPELINE_KEYS = 1_000
_SECONDS_PER_HOUR = 3_600

# one row per vehicle; the inner query finds each vehicle's newest day
_DRIVING = f"""
select
    days.vin as vin, any(newest.as_of) as as_of,
    sum(days.distance_m) as distance_m, sum(days.driving_s) as driving_s,
    sum(days.hard_brakes) as hard_brakes, sum(days.hard_accels) as hard_accels,
    max(days.reports_harsh_events) as reports_harsh_events,
    sum(days.trip_count) as trip_count, count() as day_count
from {ANALYTICS_DATABASE}.vehicle_analytics as days
inner join (
    select vin, max(date) as as_of from {ANALYTICS_DATABASE}.vehicle_analytics
    where date <= {{as_of:Date}} group by vin
) as newest on days.vin = newest.vin
where days.date <= newest.as_of and days.date > newest.as_of - {WINDOW_DAYS}
group by days.vin
"""
_ODOMETER = f"""
select vin, argMax(odometer, last_read_at), toString(argMax(source, last_read_at)), max(date)
from {ANALYTICS_DATABASE}.odometer_readings
where is_primary and date <= {{as_of:Date}}
group by vin
"""


@dataclass(frozen=True, slots=True)
class Odometer:
    """A vehicle's newest primary reading."""

    miles: float
    source: str
    date: date


@dataclass(frozen=True, slots=True)
class Driving:
    """A vehicle's week that ends with its newest day."""

    as_of: date
    distance_m: float
    driving_s: float
    hard_brakes: int
    hard_accels: int
    reports_harsh_events: bool
    trip_count: int
    day_count: int


@dataclass(frozen=True, slots=True)
class PublishReport:
    """One call of `publish_summaries`."""

    as_of: date
    vehicle_count: int
    seconds: float


def publish_summaries(settings: Settings, as_of: date) -> PublishReport:
    """Write `scores:{vin}` for every vehicle that the warehouse knows on or before `as_of`.

    Each vehicle's document is replaced as a whole. Vehicles that the warehouse does not know keep theirs.

    Raises:
        UnavailableError: ClickHouse or Redis does not answer; what is published stays.
    """
    started = time.monotonic()
    with clients.clickhouse(settings) as client:
        driving = _driving(client, as_of)
        odometers = _odometers(client, as_of)
    documents = {
        scores_key(vin): json.dumps(build_summary(vin, week, odometers.get(vin)))
        for vin, week in driving.items()
    }
    connection = redis.Redis.from_url(settings.valkey_url(), socket_timeout=30, socket_connect_timeout=10)
    try:
        for part in _batches(documents.items(), _PIPELINE_KEYS):
            connection.mset(dict(part))
    except redis.RedisError as error:
        message = (
            f"Redis at {settings.host}:{settings.valkey_port} does not take the summaries "
            f"({type(error).__name__}); see `piston status`, or check PISTON_VALKEY_PORT and its password"
        )
        raise UnavailableError(message) from error
    finally:
        connection.close()
    return PublishReport(as_of, len(documents), time.monotonic() - started)


def build_summary(vin: str, week: Driving, odometer: Odometer | None) -> Mapping[str, Any]:
    """The published document of one vehicle.

    Harsh events are null where the vehicle's devices have never reported one: unknown is not none. The mean
    speed is distance over time in motion, null when there was none.
    """
    miles = miles_from_metres(week.distance_m)
    return {
        "vin": vin,
        "as_of": week.as_of.isoformat(),
        "odometer": None
        if odometer is None
        else {
            "miles": round(odometer.miles, 3),
            "source": odometer.source,
            "date": odometer.date.isoformat(),
        },
        "driving": {
            "avg_speed_mph_7d": round(miles / week.driving_s * _SECONDS_PER_HOUR, 2)
            if week.driving_s > 0
            else None,
            "hard_brakes_7d": week.hard_brakes if week.reports_harsh_events else None,
            "hard_accels_7d": week.hard_accels if week.reports_harsh_events else None,
            "distance_mi_7d": round(miles, 3),
            "trips_7d": week.trip_count,
            "days_with_data_7d": week.day_count,
        },
    }


def _driving(client: Client, as_of: date) -> dict[str, Driving]:
    rows = _rows(client, _DRIVING, as_of)
    return {
        vin: Driving(newest, metres, seconds, brakes, accels, bool(reports_harsh), trips, days)
        for vin, newest, metres, seconds, brakes, accels, reports_harsh, trips, days in rows
    }


def _odometers(client: Client, as_of: date) -> dict[str, Odometer]:
    return {row[0]: Odometer(*row[1:]) for row in _rows(client, _ODOMETER, as_of)}


def _rows(client: Client, query: str, as_of: date) -> Sequence[Sequence[Any]]:
    return client.query(query, parameters={"as_of": as_of.isoformat()}).result_rows


def _batches(items: Iterable[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
