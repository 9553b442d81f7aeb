"""Shapes of GET /vehicles/{vin}/telemetry.

The models document; the answer itself is built as dictionaries (`records.py`), because a page has thousands
of records. A test holds the two together.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from serving.time_range import Moment
from serving.vehicles.live_status.schemas import LocationRead
from serving.vehicles.location import Precision
from serving.vehicles.query import UnitsParameter
from serving.vehicles.telemetry.cursors import LONGEST_CURSOR
from serving.vehicles.units import Units

DEFAULT_LIMIT = 1000
LARGEST_LIMIT = 5000
"""A page of it is about 2 MB."""

_DATE_TIME: JsonDict = {"format": "date-time"}


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
        description="Moment after the last, RFC 3339. Left out: now. At most 366 days after `from`.",
        examples=["2025-12-06"],
    )
    limit: int = Field(
        DEFAULT_LIMIT, description="Most records on a page.", ge=1, le=LARGEST_LIMIT, examples=[1000]
    )
    cursor: str | None = Field(
        None,
        description="`next` of the page before; it keeps the query's range. A range given beside it must be "
        "the same.",
        max_length=LONGEST_CURSOR,
    )
    units: UnitsParameter = Units.IMPERIAL


class _RecordRead(BaseModel):
    time: str = Field(
        description="The device's time, UTC.",
        json_schema_extra=_DATE_TIME,
        examples=["2025-12-06T06:55:00.000Z"],
    )
    received_at: str = Field(
        description="When we received it, UTC.",
        json_schema_extra=_DATE_TIME,
        examples=["2025-12-06T06:55:00.412Z"],
    )
    location: LocationRead | None = Field(description="Null without a valid fix.")
    heading: int | None = Field(description="Degrees from north, clockwise.", examples=[214])
    odometer_source: str | None = Field(
        description="`can` or `obd`: read from the vehicle; `gnss`: counted by the tracker.",
        examples=["gnss"],
    )
    fuel_pct: float | None = Field(description="Fuel level, percent.", examples=[62.0])
    battery_voltage: float | None = Field(description="Volts.", examples=[12.4])
    dtc_codes: list[str] | None = Field(
        description="Diagnostic trouble codes; an empty list means none, null not known.",
        examples=[["P0300"]],
    )
    ignition: bool | None = Field(description="Whether the ignition is on.", examples=[True])
    movement: bool | None = Field(description="Whether the tracker feels movement.", examples=[True])
    rpm: int | None = Field(description="Engine speed, 1/min.", examples=[1450])
    coolant_c: int | None = Field(description="Coolant temperature, °C.", examples=[88])
    engine_load_pct: int | None = Field(description="Calculated load, percent.", examples=[31])
    ambient_c: int | None = Field(description="Outside temperature, °C.", examples=[12])
    hv_soc_pct: int | None = Field(description="Charge of the traction battery, percent.", examples=[None])
    satellites: int | None = Field(description="Satellites in use; 0 means no fix.", examples=[11])
    event_id: int = Field(description="AVL id that caused the record; 0 for periodic ones.", examples=[0])


class RecordRead(_RecordRead):
    """One record of the tracker, `units=imperial`."""

    model_config = ConfigDict(title="TelemetryRecord")

    speed_mph: float | None = Field(description="mph.", examples=[45.36])
    altitude_ft: float | None = Field(
        description="Feet above the ellipsoid's mean sea level.", examples=[52.5]
    )
    odometer: float | None = Field(description="Miles.", examples=[45632.117])


class RecordMetricRead(_RecordRead):
    """One record of the tracker, `units=metric`."""

    model_config = ConfigDict(title="TelemetryRecordMetric")

    speed_kph: float | None = Field(description="km/h.", examples=[73.0])
    altitude_m: float | None = Field(description="Metres above mean sea level.", examples=[16.0])
    odometer_km: float | None = Field(description="Kilometres.", examples=[73437.774])


class _PageRead(BaseModel):
    vin: str = Field(examples=["1HGCM82633A123456"])
    from_: str = Field(
        alias="from",
        description="First moment of the query.",
        json_schema_extra=_DATE_TIME,
        examples=["2025-12-01T00:00:00.000Z"],
    )
    to: str = Field(
        description="Moment after the last.",
        json_schema_extra=_DATE_TIME,
        examples=["2025-12-06T00:00:00.000Z"],
    )
    tiers: list[Literal["hot", "warm", "cold", "archive"]] = Field(
        description="Tiers that this page came from.", examples=[["warm", "hot"]]
    )
    pending_tiers: list[Literal["archive"]] = Field(
        description="Tiers that hold further records of this page's range and must be restored first. "
        "That was asked for and takes hours; ask again then.",
        examples=[[]],
    )
    location_precision: Precision | None = Field(
        description="`precise`, `coarse` (rounded to 0.01°), or null: no location scope.",
        examples=["precise"],
    )
    withheld: list[str] = Field(
        description="Paths that are null because the token or the owner's consent does not cover them.",
        examples=[[]],
    )
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


class TelemetryPageRead(_PageRead):
    """A page of records, oldest first, `units=imperial`."""

    model_config = ConfigDict(title="TelemetryPage", validate_by_name=True)

    units: Literal[Units.IMPERIAL] = Units.IMPERIAL
    records: list[RecordRead]


class TelemetryPageMetricRead(_PageRead):
    """A page of records, oldest first, `units=metric`."""

    model_config = ConfigDict(title="TelemetryPageMetric", validate_by_name=True)

    units: Literal[Units.METRIC] = Units.METRIC
    records: list[RecordMetricRead]
