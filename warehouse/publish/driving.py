"""Each vehicle's week of driving and its newest odometer reading, from the marts.

A vehicle's figures are of its own newest day with data (`as_of`) and the seven days that end there, so a car
that has stood for a month keeps its last week rather than showing zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from clickhouse_connect.driver.client import Client

from telematics.names import ANALYTICS_DATABASE

WINDOW_DAYS = 7

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


def read_weeks(client: Client, as_of: date) -> dict[str, Driving]:
    """The week of every vehicle that has data on or before `as_of`, by VIN."""
    return {
        vin: Driving(newest, metres, seconds, brakes, accels, bool(reports_harsh), trips, days)
        for vin, newest, metres, seconds, brakes, accels, reports_harsh, trips, days in _rows(
            client, _DRIVING, as_of
        )
    }


def read_odometers(client: Client, as_of: date) -> dict[str, Odometer]:
    """The newest primary reading of every vehicle that has one on or before `as_of`, by VIN."""
    return {row[0]: Odometer(*row[1:]) for row in _rows(client, _ODOMETER, as_of)}


def _rows(client: Client, query: str, as_of: date) -> Sequence[Sequence[Any]]:
    return client.query(query, parameters={"as_of": as_of.isoformat()}).result_rows
