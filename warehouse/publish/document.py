"""The published document of one vehicle."""

from collections.abc import Mapping
from typing import Any

from telematics.units import miles_from_metres
from warehouse.publish.driving import Driving, Odometer

_SECONDS_PER_HOUR = 3_600


def build_summary(
    vin: str,
    week: Driving | None,
    odometer: Odometer | None,
    *,
    maintenance: object = None,
    health: object = None,
) -> Mapping[str, Any]:
    """The document, each section null where nothing is known of it.

    Harsh events are null where the vehicle's devices have never reported one: unknown is not none. The mean
    speed is distance over time in motion, null when there was none. `as_of` is the week's; predictions and
    health carry their own.

    Args:
        vin: the vehicle.
        week: its newest week of driving.
        odometer: its newest reading.
        maintenance: its predictions, see `warehouse.publish.maintenance`.
        health: its health score, from there too.
    """
    return {
        "vin": vin,
        "as_of": None if week is None else week.as_of.isoformat(),
        "odometer": None
        if odometer is None
        else {
            "miles": round(odometer.miles, 3),
            "source": odometer.source,
            "date": odometer.date.isoformat(),
        },
        "driving": None if week is None else _driving(week),
        "maintenance": maintenance,
        "health": health,
    }


def _driving(week: Driving) -> Mapping[str, Any]:
    miles = miles_from_metres(week.distance_m)
    return {
        "avg_speed_mph_7d": round(miles / week.driving_s * _SECONDS_PER_HOUR, 2)
        if week.driving_s > 0
        else None,
        "hard_brakes_7d": week.hard_brakes if week.reports_harsh_events else None,
        "hard_accels_7d": week.hard_accels if week.reports_harsh_events else None,
        "distance_mi_7d": round(miles, 3),
        "trips_7d": week.trip_count,
        "days_with_data_7d": week.day_count,
    }
