"""Buckets worked out in plain Python, straight from rows."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import groupby
from statistics import fmean
from typing import Any

from tests.warehouse.conftest import Row
from warehouse.history.resolution import bucket_start

MEANS = ("speed_mph", "battery_v", "rpm")
OF_A_FIX = ("lat", "lng", "hdop", "heading", "altitude_ft")


def on_this_planet(row: Row) -> bool:
    return bool(row.is_valid) and row.lat is not None and row.lng is not None and abs(row.lat) <= 90


def _last(rows: list[Row], name: str, counts: Callable[[Row], bool]) -> Any:
    return next((getattr(row, name) for row in reversed(rows) if counts(row)), None)


def _known(rows: list[Row], name: str) -> list[Any]:
    return [value for row in rows if (value := getattr(row, name)) is not None]


def bucket(rows: list[Row]) -> dict[str, Any]:
    """What one bucket says; its rows in order of time and hash."""
    odometers = _known(rows, "odometer")
    sources = {row.odometer_source for row in rows if row.odometer is not None}
    codes, volts = _known(rows, "dtc_codes"), _known(rows, "battery_v")
    return {
        "data_points": len(rows),
        "received_at": max(row.received_at for row in rows),
        **{name: _last(rows, name, on_this_planet) for name in OF_A_FIX},
        **{name: fmean(known) if (known := _known(rows, name)) else None for name in MEANS},
        **{f"{name}_max": max(_known(rows, name), default=None) for name in MEANS},
        "battery_v_min": min(volts, default=None),
        "fuel_pct": _last(rows, "fuel_pct", lambda row: row.fuel_pct is not None),
        "odometer": _last(rows, "odometer", lambda row: row.odometer is not None),
        "distance_mi": max(odometers) - min(odometers) if len(sources) == 1 else None,
        "odometer_source": _last(rows, "odometer_source", lambda row: row.odometer is not None),
        "dtc_codes": sorted({code for each in codes for code in each}) if codes else None,
        **{name: any(known) if (known := _known(rows, name)) else None for name in ("ignition", "movement")},
        "satellites": min(_known(rows, "satellites"), default=None),
    }


def buckets(rows: Iterable[Row], width: timedelta) -> list[dict[str, Any]]:
    """One vehicle's buckets in order of time."""
    ordered = sorted(rows, key=lambda row: (row.time, row.content_hash))
    return [
        {"time": start, **bucket(list(part))}
        for start, part in groupby(ordered, key=lambda row: bucket_start(row.time, width))
    ]
