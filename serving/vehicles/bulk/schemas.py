"""Shapes of POST /vehicles/bulk/telemetry."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serving.time_range import Moment
from serving.vehicles.readings.body import MediaType
from serving.vehicles.telemetry.cursors import LONGEST_CURSOR
from serving.vehicles.telemetry.query import (
    FIELDS_TEXT,
    LARGEST_LIMIT,
    LIMIT_TEXT,
    RESOLUTION_TEXT,
    UNITS_TEXT,
    FieldNames,
)
from serving.vehicles.telemetry.schemas import (
    BucketMetricRead,
    BucketRead,
    DisclosureRead,
    RecordMetricRead,
    RecordRead,
    SpanRead,
)
from serving.vehicles.units import Units
from warehouse.history import Resolution

MOST_VEHICLES: Final = 1000
MAX_BODY_BYTES: Final = 65_536
"""1,000 VINs take 20,000 bytes, a cursor 2,048."""

Vin = Annotated[str, StringConstraints(pattern=r"^[A-HJ-NPR-Z0-9]{17}$")]


class BulkQuery(BaseModel):
    """Which records of which vehicles. An unknown name is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, title="BulkTelemetryQuery")

    vins: list[Vin] = Field(
        description="VINs: 17 capitals and digits without I, O and Q. Naming one twice is naming it once.",
        min_length=1,
        max_length=MOST_VEHICLES,
        examples=[["1HGCM82633A123456"]],
    )
    fields: FieldNames | None = Field(
        None, description=FIELDS_TEXT, min_length=1, examples=[["location", "odometer"]]
    )
    from_: Moment | None = Field(
        None,
        alias="from",
        description="First moment, RFC 3339; a bare date means 00:00Z. Left out: 24 hours before `to`.",
        examples=["2025-12-05"],
    )
    to: Moment | None = Field(
        None,
        description="Moment after the last. Left out: now. At most 731 days after `from`; for an export "
        "3,660 days.",
        examples=["2025-12-06"],
    )
    units: Units | None = Field(None, description=UNITS_TEXT)
    resolution: Resolution | None = Field(None, description=RESOLUTION_TEXT)
    limit: int | None = Field(None, description=LIMIT_TEXT, ge=1, le=LARGEST_LIMIT, examples=[1000])
    cursor: str | None = Field(
        None,
        description="`next` of the page before. Send it with the same `vins`; it keeps all else.",
        max_length=LONGEST_CURSOR,
    )


def _request_schema() -> dict[str, Any]:
    schema = BulkQuery.model_json_schema()
    for definition in schema.pop("$defs", {}).values():
        # small enumerations: OpenAPI would look for them among its components
        for part in schema["properties"].values():
            for choice in part.get("anyOf", ()):
                if choice.get("$ref", "").endswith("/" + definition["title"]):
                    choice.pop("$ref")
                    choice |= {"type": definition["type"], "enum": definition["enum"]}
    return schema


REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        MediaType.JSON.value: {
            "schema": _request_schema(),
            "example": {"vins": ["1HGCM82633A123456"], "fields": ["location", "odometer"]},
        }
    },
}


class VehicleRecordsRead(DisclosureRead):
    """One vehicle's part of a page."""

    model_config = ConfigDict(title="VehicleRecords")

    records: list[RecordRead] | list[RecordMetricRead] | list[BucketRead] | list[BucketMetricRead] = Field(
        description="Oldest first; by `units` and `resolution` as in the answers for one vehicle."
    )


class BulkPageRead(SpanRead):
    """A page of records, one vehicle after the other in the order of their VINs."""

    model_config = ConfigDict(title="BulkTelemetryPage", validate_by_name=True)

    vehicles: list[VehicleRecordsRead] = Field(
        description="The vehicles that this page covers, also those without records in the range. The "
        "records of one may go on with the next page."
    )
    not_found: list[str] = Field(
        description="VINs that are unknown, or whose owner has not consented: nobody is told which.",
        examples=[["1HGCM82633A654321"]],
    )
    not_covered: list[str] = Field(
        description="VINs whose owner's consent does not cover `telemetry:read`.", examples=[[]]
    )
    next: str | None = Field(description="Cursor of the next page; null on the last one.")
