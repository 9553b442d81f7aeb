"""The fields of a posted reading: names, units, limits. Each stands here once.

Names and units are the blueprint's (`speed_mph`, `altitude_ft`, `odometer` in miles) and those of the records
that the API answers; with `units=metric` the three whose unit changes have another name. A message of
`telemetry.readings.v1` always has the blueprint's.

Limits keep a value inside its column and inside what a vehicle can do; they are wide, because the sender
knows its vehicle and we do not.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from telematics.units import (
    feet_from_metres,
    kph_from_mph,
    metres_from_feet,
    metres_from_miles,
    miles_from_metres,
    mph_from_kph,
)

Convert = Callable[[float], float]


class NumberField(NamedTuple):
    """A field that holds a number."""

    name: str
    lowest: float
    highest: float
    is_whole: bool = False
    """Its column holds whole numbers."""


class FlagField(NamedTuple):
    """A field that holds true or false."""

    name: str


class MetricName(NamedTuple):
    """A field's name with `units=metric`, and the way there and back."""

    name: str
    to_imperial: Convert
    to_metric: Convert


def _miles_from_km(km: float) -> float:
    return miles_from_metres(km * 1000)


def _km_from_miles(miles: float) -> float:
    return metres_from_miles(miles) / 1000


TIMESTAMP: Final = "timestamp"
LOCATION: Final = "location"
ODOMETER: Final = "odometer"
ODOMETER_SOURCE: Final = "odometer_source"
DTC_CODES: Final = "dtc_codes"
VIN: Final = "vin"
"""In messages only: in a request the path says it."""

NUMBERS: Final = (
    NumberField("speed_mph", 0, 1000),
    NumberField("heading", 0, 360, is_whole=True),
    NumberField("altitude_ft", -2000, 60_000),
    NumberField(ODOMETER, 0, 10_000_000),
    NumberField("fuel_pct", 0, 100),
    NumberField("battery_voltage", 0, 100),
    NumberField("rpm", 0, 30_000, is_whole=True),
    NumberField("coolant_c", -60, 250, is_whole=True),
    NumberField("engine_load_pct", 0, 100, is_whole=True),
    NumberField("maf_gps", 0, 1000),
    NumberField("ambient_c", -90, 100, is_whole=True),
    NumberField("fuel_trim_pct", -100, 100, is_whole=True),
    NumberField("hv_soc_pct", 0, 100, is_whole=True),
    NumberField("satellites", 0, 255, is_whole=True),
    NumberField("event_id", 0, 65_535, is_whole=True),
)
FLAGS: Final = (FlagField("ignition"), FlagField("movement"))

LOCATION_NUMBERS: Final = (
    NumberField("lat", -90, 90),
    NumberField("lng", -180, 180),
    NumberField("accuracy_m", 0, 100_000),
)
LOCATION_NEEDED: Final = ("lat", "lng")

METRIC_NAMES: Final[Mapping[str, MetricName]] = {
    "speed_mph": MetricName("speed_kph", mph_from_kph, kph_from_mph),
    "altitude_ft": MetricName("altitude_m", feet_from_metres, metres_from_feet),
    ODOMETER: MetricName("odometer_km", _miles_from_km, _km_from_miles),
}

MAX_DTC_CODES: Final = 128
"""A car's control units together hold fewer; 255 fit in a tracker's list."""
