"""Parameters of GET /vehicles/{vin}/telemetry, and what the bulk query shares with them."""

from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from serving.time_range import Moment
from serving.vehicles.telemetry.cursors import LONGEST_CURSOR
from serving.vehicles.units import Units
from warehouse.history import Resolution

DEFAULT_LIMIT: Final = 1000
LARGEST_LIMIT: Final = 5000
"""A page of it is about 2 MB."""

UNITS_TEXT: Final = (
    "`imperial`: miles, mph, feet, under the plain names. `metric`: km, km/h, metres, under names that end "
    "in their unit. Left out: `imperial`, or the cursor's."
)
RESOLUTION_TEXT: Final = (
    "`raw`: records. `1m`, `1h`, `1d`: one row for all records of a minute, an hour or a day of UTC, the "
    "same whichever tier they come from; those of the range alone count. Left out: `raw`, or the cursor's."
)
FIELDS_TEXT: Final = (
    "Which fields to answer, `time` always among them; only these are read. A field is named as in the "
    "answer, or without its unit: `location`, `speed`, `odometer`. Left out: all, or the cursor's."
)
LIMIT_TEXT: Final = (
    f"Most records on a page; {DEFAULT_LIMIT} where it is left out. An export has no pages and refuses it."
)


def _names(value: object) -> object:
    """Names, each given by itself or several with commas between them."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [name for item in value for name in item.split(",")]
    return value


FieldNames = Annotated[
    list[str],
    BeforeValidator(_names),
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": r"^[a-z0-9_]+(,[a-z0-9_]+)*$"}}),
]


class TelemetryQuery(BaseModel):
    """Query of telemetry. An unknown parameter is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    from_: Moment | None = Field(
        None,
        alias="from",
        description="First moment, RFC 3339; a bare date means 00:00Z. Needed unless a cursor is given.",
        examples=["2025-12-01"],
    )
    to: Moment | None = Field(
        None,
        description="Moment after the last, RFC 3339. Left out: now. At most 731 days after `from`; for an "
        "export 3,660 days.",
        examples=["2025-12-06"],
    )
    fields: FieldNames | None = Field(
        None,
        description=f"{FIELDS_TEXT} Separate them by commas, or repeat the parameter.",
        examples=[["location", "odometer"]],
    )
    resolution: Resolution | None = Field(None, description=RESOLUTION_TEXT, examples=["raw"])
    limit: int | None = Field(None, description=LIMIT_TEXT, ge=1, le=LARGEST_LIMIT, examples=[1000])
    cursor: str | None = Field(
        None,
        description="`next` of the page before; it keeps the whole query. What is given beside it must be "
        "the same.",
        max_length=LONGEST_CURSOR,
    )
    units: Units | None = Field(None, description=UNITS_TEXT, examples=["imperial"])
