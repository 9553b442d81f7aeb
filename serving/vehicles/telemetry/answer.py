"""Answers made of what the history returns, as dictionaries ready to be encoded."""

from typing import Any

from serving.consent.gate import VehicleAccess
from serving.vehicles.location import precision_allowed
from serving.vehicles.telemetry.asked import Asked
from serving.vehicles.telemetry.records import record_builder, withheld_fields
from telematics.clock import rfc3339_ms
from warehouse.history import Page, VehiclePart


def query_told(asked: Asked) -> dict[str, Any]:
    """The query that an answer belongs to."""
    return {
        "from": rfc3339_ms(asked.span.start),
        "to": rfc3339_ms(asked.span.end),
        "units": asked.units,
        "resolution": asked.resolution,
    }


def consent_told(access: VehicleAccess, asked: Asked) -> dict[str, Any]:
    """What the vehicle's consent does to its records."""
    return {
        "location_precision": precision_allowed(access),
        "withheld": withheld_fields(access, asked),
    }


def records_told(access: VehicleAccess, asked: Asked, part: Page | VehiclePart) -> list[dict[str, Any]]:
    """The records of one vehicle."""
    build = record_builder(access, asked)
    return [build(row) for row in part.records]


def pending_tiers(part: Page | VehiclePart) -> list[str]:
    """Tiers that must be restored first."""
    return ["archive"] if part.pending_days else []


def vehicle_told(access: VehicleAccess, asked: Asked, part: Page | VehiclePart) -> dict[str, Any]:
    """One vehicle's part of an answer."""
    return {
        "vin": access.vin,
        "records": records_told(access, asked, part),
        "tiers": list(part.tiers),
        "pending_tiers": pending_tiers(part),
        **consent_told(access, asked),
    }
