"""One document of the index as one result, as far as the consent for its vehicle reaches. Pure."""

from collections.abc import Mapping
from math import asin, cos, radians, sin, sqrt
from typing import Any, Final

from serving.consent.gate import VehicleAccess
from serving.scopes import Scope
from serving.search.wanted import Near
from serving.vehicles.disclosure import Disclosure
from serving.vehicles.location import Position, maybe_position, precision_allowed, shown_at
from serving.vehicles.units import Units, distance
from telematics.dtc import maybe_meaning
from telematics.units import miles_from_metres

_EARTH_M: Final = 6_371_008.8
"""Mean radius (IUGG), which Elasticsearch's arc distance uses as well."""
_BASE: Final = (Scope.TELEMETRY_READ,)
_LOCATION: Final = (Scope.LOCATION_PRECISE, Scope.LOCATION_COARSE)


def build_result(
    access: VehicleAccess, document: Mapping[str, Any], near: Near | None, units: Units
) -> dict[str, Any]:
    """The result (`serving.search.schemas.FoundRead`): what is not covered is null and listed."""
    metric = units is Units.METRIC
    fields = Disclosure(access)
    precision = precision_allowed(access)
    position = fields.field("location", _position(document), _LOCATION)
    shown = None if position is None or precision is None else shown_at(position, precision)
    odometer_name = "odometer_km" if metric else "odometer"
    codes = fields.field("dtc", document.get("dtc_codes"), (Scope.DTC_READ,))
    return {
        "vin": access.vin,
        "origin": document["origin"],
        "make": document.get("make"),
        "model": document.get("model"),
        "year": document.get("year"),
        odometer_name: fields.field(
            odometer_name, distance(document.get("odometer_mi"), units), (Scope.ODOMETER_READ,)
        ),
        "odometer_at": fields.field("odometer_at", document.get("odometer_at"), (Scope.ODOMETER_READ,)),
        "health_score": fields.field("health_score", document.get("health_score"), (Scope.MAINTENANCE_READ,)),
        "dtc": None if codes is None else [{"code": code, "meaning": maybe_meaning(code)} for code in codes],
        "location": None
        if shown is None
        else {"lat": shown.lat_deg, "lng": shown.lng_deg, "accuracy_m": shown.accuracy_m},
        "location_precision": precision,
        "location_at": fields.field("location_at", document.get("position_at"), _LOCATION),
        "last_seen": fields.field("last_seen", document.get("last_seen"), _BASE),
        f"distance_{'km' if metric else 'mi'}": _distance(shown, near, units),
        "pending": fields.pending,
        "withheld": fields.withheld,
    }


def _position(document: Mapping[str, Any]) -> Position | None:
    stored = document.get("position")
    if not isinstance(stored, dict):
        return None
    return maybe_position(stored.get("lat"), stored.get("lon"), document.get("accuracy_m"))


def _distance(shown: Position | None, near: Near | None, units: Units) -> float | None:
    """From the position as shown: a distance to the metre would undo its rounding."""
    if shown is None or near is None:
        return None
    metres = great_circle_m(near.lat_deg, near.lng_deg, shown.lat_deg, shown.lng_deg)
    return distance(miles_from_metres(metres), units)


def great_circle_m(lat_a: float, lng_a: float, lat_b: float, lng_b: float) -> float:
    """Metres along the surface between two places in degrees (haversine)."""
    a, b = radians(lat_a), radians(lat_b)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(lng_b - lng_a) / 2) ** 2
    return 2 * _EARTH_M * asin(sqrt(min(1.0, half)))
