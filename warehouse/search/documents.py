"""One vehicle's document. Pure; the mapping is `migrations/search/vehicles.json`.

A document has a version: the device time, in milliseconds, of the newest record that its live part knows of,
0 where there is none. Elasticsearch refuses to put a lower version over a higher one (external versions),
so positions never go back, whoever writes and in whatever order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson

from telematics.clock import from_epoch_ms, rfc3339_ms
from telematics.dtc import maybe_meaning

COARSE_DECIMALS: Final = 2
"""What a consent to `location:coarse` covers (serving.vehicles.location): cells of 0.01 degrees."""
LIVE_FIELDS: Final = ("seen", "position", "odometer", "dtc_codes")
"""Fields of `live:{vin}` (see `ingest.live.state`) that documents are made of."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What the registry knows."""

    vin: str
    origin: str
    make: str | None
    model: str | None
    year: int | None
    consents: tuple[str, ...] = ()
    """Which partners may read what of it, as `telematics.names.consent_term` writes that."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the warehouse knows of a vehicle; None where it knows nothing."""

    odometer_mi: float | None = None
    odometer_source: str | None = None
    odometer_on: date | None = None
    health_score: int | None = None
    dtc_codes: tuple[str, ...] | None = None
    """The newest day's that told; empty: there were none."""
    dtc_on: date | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """The live part of a document."""

    version: int
    fields: Mapping[str, Any]


NOTHING_LIVE: Final = Live(0, {})


def build_document(vehicle: Vehicle, known: Known, live: Live) -> Document:
    """The whole document: the registry, what the warehouse knows, and over it what is live."""
    document: Document = {
        "vin": vehicle.vin,
        "origin": vehicle.origin,
        "make": vehicle.make,
        "model": vehicle.model,
        "year": vehicle.year,
        "consents": list(vehicle.consents) or None,
        "odometer_mi": known.odometer_mi,
        "odometer_source": known.odometer_source,
        "odometer_at": _midnight(known.odometer_on),
        "health_score": known.health_score,
    }
    if known.dtc_codes is not None:
        document |= _trouble_codes(known.dtc_codes, _midnight(known.dtc_on))
    return merge_live(document, live)


def merge_live(document: Mapping[str, Any], live: Live) -> Document:
    """The document with the live part over it; what is live is never older than what a day's load knows."""
    merged = {**document, **live.fields}
    return {name: value for name, value in merged.items() if value is not None}


def parse_live(stored: Mapping[str, bytes | None]) -> Live:
    """The live part from fields of `live:{vin}`, each `<device time in ms>|<JSON>`.

    A damaged field is left out: the others still serve.
    """
    version = 0
    fields: Document = {}
    for name, text in stored.items():
        signal = _signal(text)
        if signal is None:
            continue
        time_ms, value = signal
        version = max(version, time_ms)
        fields |= _fields_of(name, rfc3339_ms(from_epoch_ms(time_ms)), value)
    return Live(version, fields)


def _signal(text: bytes | None) -> tuple[int, Any] | None:
    if text is None:
        return None
    time_text, _, value = text.partition(b"|")
    try:
        time_ms = int(time_text)
        from_epoch_ms(time_ms)
        return (time_ms, orjson.loads(value)) if time_ms >= 0 else None
    except (ValueError, OverflowError):
        return None


def _fields_of(name: str, observed_at: str, value: Any) -> Document:
    match name, value:
        case "seen", dict():
            return {"last_seen": observed_at}
        case "position", {"lat": float() | int() as lat, "lng": float() | int() as lng}:
            return _position(lat, lng, value.get("accuracy_m"), observed_at)
        case "odometer", {"miles": float() | int() as miles}:
            return {
                "odometer_mi": miles,
                "odometer_source": value.get("source"),
                "odometer_at": observed_at,
            }
        case "dtc_codes", list():
            return _trouble_codes([code for code in value if isinstance(code, str)], observed_at)
        case _:
            return {}


def _position(lat: float, lng: float, accuracy_m: object, observed_at: str) -> Document:
    if not (-90 <= lat <= 90 and -180 <= lng <= 180):  # the wire has room for more
        return {}
    return {
        "position": {"lat": lat, "lon": lng},
        "position_coarse": {"lat": round(lat, COARSE_DECIMALS), "lon": round(lng, COARSE_DECIMALS)},
        "accuracy_m": accuracy_m if isinstance(accuracy_m, float | int) else None,
        "position_at": observed_at,
    }


def _trouble_codes(codes: "tuple[str, ...] | list[str]", observed_at: str | None) -> Document:
    distinct = sorted(set(codes))
    return {
        "dtc_codes": distinct,
        "dtc_meanings": [meaning for code in distinct if (meaning := maybe_meaning(code)) is not None],
        "dtc_at": observed_at,
    }


def _midnight(day: date | None) -> str | None:
    return None if day is None else datetime(day.year, day.month, day.day).isoformat() + "Z"  # noqa: DTZ001
