"""One stored row to one record of the answer, as a pure function chosen once per page."""

from collections.abc import Callable
from typing import Any

from serving.consent.gate import VehicleAccess
from serving.vehicles.location import precision_allowed
from serving.vehicles.telemetry.asked import Asked
from serving.vehicles.telemetry.fields import TIME, Shown, StoredRow
from telematics.clock import rfc3339_ms
from warehouse.history import DATA_POINTS, Resolution

RecordBuilder = Callable[[StoredRow], dict[str, Any]]


def withheld_fields(access: VehicleAccess, asked: Asked) -> list[str]:
    """Paths that are null in every record because the scopes do not reach them."""
    return [
        f"records.{part.name_in(asked.units)}"
        for field in asked.fields
        if not field.is_allowed(access)
        for part in field.shape(asked.resolution).parts
    ]


def record_builder(access: VehicleAccess, asked: Asked) -> RecordBuilder:
    """A function from a row of the history to a record, or to a bucket."""
    shown = Shown(asked.units, precision_allowed(access))
    parts = [
        (part.name_in(asked.units), part.value if field.is_allowed(access) else _withheld)
        for field in asked.fields
        for part in field.shape(asked.resolution).parts
    ]
    is_bucket = asked.resolution is not Resolution.RAW

    def build(row: StoredRow) -> dict[str, Any]:
        record: dict[str, Any] = {TIME: rfc3339_ms(row[TIME])}
        if is_bucket:
            record[DATA_POINTS] = row[DATA_POINTS]
        for name, value in parts:
            record[name] = value(row, shown)
        return record

    return build


def _withheld(_: StoredRow, __: Shown) -> None:
    return None
