"""One stored row to one record of the answer, as a pure function chosen once per page."""

from collections.abc import Callable, Mapping
from typing import Any

from serving.consent.gate import VehicleAccess
from serving.scopes import Scope
from serving.vehicles.location import (
    Precision,
    accuracy_from_hdop,
    maybe_position,
    precision_allowed,
    shown_at,
)
from serving.vehicles.units import Units, altitude, distance, single_precision, speed
from telematics.clock import rfc3339_ms

RecordBuilder = Callable[[Mapping[str, Any]], dict[str, Any]]


def withheld_fields(access: VehicleAccess, units: Units) -> list[str]:
    """Paths that are null in every record because the scopes do not reach them."""
    metric = units is Units.METRIC
    withheld = []
    if precision_allowed(access) is None:
        withheld.append("records.location")
    if precision_allowed(access) is not Precision.PRECISE:
        # with speed and heading anybody could reckon the track that the coarse position hides
        withheld += ["records.heading", f"records.{'altitude_m' if metric else 'altitude_ft'}"]
    if not access.allows(Scope.ODOMETER_READ):
        withheld += [f"records.{'odometer_km' if metric else 'odometer'}", "records.odometer_source"]
    if not access.allows(Scope.DTC_READ):
        withheld.append("records.dtc_codes")
    return withheld


def _location(row: Mapping[str, Any], precision: Precision | None) -> dict[str, float | None] | None:
    if precision is None or not row["is_valid"]:
        return None
    position = maybe_position(row["lat"], row["lng"], accuracy_from_hdop(row["hdop"]))
    if position is None:
        return None
    shown = shown_at(position, precision)
    return {"lat": shown.lat_deg, "lng": shown.lng_deg, "accuracy_m": shown.accuracy_m}


def record_builder(access: VehicleAccess, units: Units) -> RecordBuilder:
    """A function from a row (column names of `telemetry`, see `repository.COLUMNS`) to a record."""
    metric = units is Units.METRIC
    speed_name = "speed_kph" if metric else "speed_mph"
    altitude_name = "altitude_m" if metric else "altitude_ft"
    odometer_name = "odometer_km" if metric else "odometer"
    precision = precision_allowed(access)
    precise = precision is Precision.PRECISE
    with_odometer = access.allows(Scope.ODOMETER_READ)
    with_dtc = access.allows(Scope.DTC_READ)

    def build(row: Mapping[str, Any]) -> dict[str, Any]:
        fixed = bool(row["is_valid"])
        return {
            "time": rfc3339_ms(row["time"]),
            "received_at": rfc3339_ms(row["received_at"]),
            "location": _location(row, precision),
            speed_name: speed(row["speed_mph"], units),
            "heading": row["heading"] if precise and fixed else None,
            altitude_name: altitude(row["altitude_ft"], units) if precise and fixed else None,
            odometer_name: distance(row["odometer"], units) if with_odometer else None,
            "odometer_source": row["odometer_source"] if with_odometer else None,
            "fuel_pct": single_precision(row["fuel_pct"]),
            "battery_voltage": single_precision(row["battery_v"]),
            "dtc_codes": row["dtc_codes"] if with_dtc else None,
            "ignition": row["ignition"],
            "movement": row["movement"],
            "rpm": row["rpm"],
            "coolant_c": row["coolant_c"],
            "engine_load_pct": row["engine_load_pct"],
            "ambient_c": row["ambient_c"],
            "hv_soc_pct": row["hv_soc_pct"],
            "satellites": row["satellites"],
            "event_id": row["event_id"],
        }

    return build
