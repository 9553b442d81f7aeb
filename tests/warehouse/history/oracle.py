"""Buckets worked out in plain Python, straight from rows."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import groupby
from typing import Any

from tests.warehouse.conftest import Row
from warehouse.history.resolution import bucket_start


def on_this_planet(row: Row) -> bool:
    return bool(row.is_valid) and row.lat is not None and row.lng is not None and abs(row.lat) <= 90


def _last(rows: list[Row], name: str, counts: Callable[[Row], bool]) -> Any:
    return next((getattr(row, name) for row in reversed(rows) if counts(row)), None)


def _known(rows: list[Row], name: str) -> list[Any]:
    return [value for row in rows if (value := getattr(row, name)) is not None]


def bucket(rows: list[Row]) -> dict[str, Any]:
    """What one bucket says; its rows in order of time and hash."""
    speeds, odometers = _known(rows, "speed_mph"), _known(rows, "odometer")
    sources = {row.odometer_source for row in rows if row.odometer is not None}
    codes, ignitions = _known(rows, "dtc_codes"), _known(rows, "ignition")
    return {
        "data_points": len(rows),
        "received_at": max(row.received_at for row in rows),
        **{name: _last(rows, name, on_this_planet) for name in ("lat", "lng", "hdop", "heading")},
        "speed_mph": round(sum(speeds) / len(speeds), 2) if speeds else None,
        "speed_mph_max": max(speeds, default=None),
        "odometer": _last(rows, "odometer", lambda row: row.odometer is not None),
        "distance_mi": max(odometers) - min(odometers) if len(sources) == 1 else None,
        "odometer_source": _last(rows, "odometer_source", lambda row: row.odometer is not None),
        "dtc_codes": sorted({code for each in codes for code in each}) if codes else None,
        "ignition": any(ignitions) if ignitions else None,
        "satellites": min(_known(rows, "satellites"), default=None),
    }


def buckets(rows: Iterable[Row], width: timedelta) -> list[dict[str, Any]]:
    """One vehicle's buckets in order of time."""
    ordered = sorted(rows, key=lambda row: (row.time, row.content_hash))
    return [
        {"time": start, **bucket(list(part))}
        for start, part in groupby(ordered, key=lambda row: bucket_start(row.time, width))
    ]
