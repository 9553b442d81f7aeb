"""Shapes of records and of the pages that hold them.

The models document; the answer itself is built as dictionaries (`records.py`), because a page has thousands
of records. A test holds the two together. All but `time` is left out where `fields` does not name it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from serving.vehicles.live_status.schemas import LocationRead
from serving.vehicles.location import Precision
from serving.vehicles.units import Units
from warehouse.history import Resolution

DATE_TIME: JsonDict = {"format": "date-time"}
TierName = Literal["hot", "warm", "cold", "archive"]


def _value(description: str, example: Any) -> Any:
    """A value that may be null, and is left out where it was not asked for."""
    return Field(None, description=description, examples=[example])


class _Row(BaseModel):
    location: LocationRead | None = Field(None, description="Null without a valid fix.")
    heading: int | None = _value("Degrees from north, clockwise.", 214)
    odometer_source: str | None = _value(
        "`can` or `obd`: read from the vehicle; `gnss`: counted by the tracker.", "gnss"
    )
    fuel_pct: float | None = _value("Fuel level, percent.", 62.0)
    battery_voltage: float | None = _value("Volts.", 12.4)
    dtc_codes: list[str] | None = _value(
        "Diagnostic trouble codes; an empty list means none, null not known.", ["P0300"]
    )
    ignition: bool | None = _value("Whether the ignition is on.", True)
    movement: bool | None = _value("Whether the tracker feels movement.", True)
    hv_soc_pct: int | None = _value("Charge of the traction battery, percent.", None)
    satellites: int | None = _value("Satellites in use; 0 means no fix.", 11)


class _RecordRead(_Row):
    time: str = Field(
        description="The device's time, UTC.",
        json_schema_extra=DATE_TIME,
        examples=["2025-12-06T06:55:00.000Z"],
    )
    received_at: str | None = Field(
        None,
        description="When we received it, UTC.",
        json_schema_extra=DATE_TIME,
        examples=["2025-12-06T06:55:00.412Z"],
    )
    rpm: int | None = _value("Engine speed, 1/min.", 1450)
    coolant_c: int | None = _value("Coolant temperature, °C.", 88)
    engine_load_pct: int | None = _value("Calculated load, percent.", 31)
    ambient_c: int | None = _value("Outside temperature, °C.", 12)
    event_id: int | None = _value("AVL id that caused the record; 0 for periodic ones.", 0)


class RecordRead(_RecordRead):
    """One record of the tracker, `units=imperial`."""

    model_config = ConfigDict(title="TelemetryRecord")

    speed_mph: float | None = _value("mph.", 45.36)
    altitude_ft: float | None = _value("Feet above the ellipsoid's mean sea level.", 52.5)
    odometer: float | None = _value("Miles.", 45632.117)


class RecordMetricRead(_RecordRead):
    """One record of the tracker, `units=metric`."""

    model_config = ConfigDict(title="TelemetryRecordMetric")

    speed_kph: float | None = _value("km/h.", 73.0)
    altitude_m: float | None = _value("Metres above mean sea level.", 16.0)
    odometer_km: float | None = _value("Kilometres.", 73437.774)


class _BucketRead(_Row):
    """Null where no record of the bucket has a value."""

    time: str = Field(
        description="First moment of the bucket, UTC.",
        json_schema_extra=DATE_TIME,
        examples=["2025-12-06T06:00:00.000Z"],
    )
    data_points: int = Field(description="Records in the bucket.", ge=1, examples=[360])
    received_at: str | None = Field(
        None,
        description="When we received the newest of its records, UTC.",
        json_schema_extra=DATE_TIME,
        examples=["2025-12-06T06:59:50.412Z"],
    )
    location: LocationRead | None = Field(
        None, description="Of the last record with a valid fix, as `heading` and altitude are."
    )
    odometer_source: str | None = _value("The last odometer's.", "gnss")
    fuel_pct: float | None = _value("Last fuel level, percent.", 62.0)
    battery_voltage: float | None = _value("Mean, volts.", 12.412)
    battery_voltage_min: float | None = _value("Smallest, volts.", 11.9)
    battery_voltage_max: float | None = _value("Largest, volts.", 14.2)
    dtc_codes: list[str] | None = _value(
        "All trouble codes of its records; an empty list means none, null that no record knows.", ["P0300"]
    )
    ignition: bool | None = _value("Whether the ignition was on in any record.", True)
    movement: bool | None = _value("Whether the tracker felt movement in any record.", True)
    rpm: float | None = _value("Mean engine speed, 1/min.", 1450.3)
    rpm_max: int | None = _value("Largest engine speed, 1/min.", 3100)
    coolant_c: float | None = _value("Mean coolant temperature, °C.", 88.1)
    coolant_c_max: int | None = _value("Largest coolant temperature, °C.", 92)
    engine_load_pct: float | None = _value("Mean calculated load, percent.", 31.2)
    engine_load_pct_max: int | None = _value("Largest calculated load, percent.", 80)
    ambient_c: float | None = _value("Mean outside temperature, °C.", 12.5)
    hv_soc_pct: int | None = _value("Last charge of the traction battery, percent.", None)
    satellites: int | None = _value("Fewest satellites in use.", 7)


class BucketRead(_BucketRead):
    """All records of a minute, an hour or a day, `units=imperial`."""

    model_config = ConfigDict(title="TelemetryBucket")

    speed_mph: float | None = _value("Mean over the records, mph.", 31.07)
    speed_mph_max: float | None = _value("Largest, mph.", 45.36)
    altitude_ft: float | None = _value("Feet, of the last record with a valid fix.", 52.5)
    odometer: float | None = _value("Last, miles.", 45632.117)
    distance_mi: float | None = _value(
        "Largest minus smallest odometer, miles; null where its records have odometers of two sources.", 12.4
    )


class BucketMetricRead(_BucketRead):
    """All records of a minute, an hour or a day, `units=metric`."""

    model_config = ConfigDict(title="TelemetryBucketMetric")

    speed_kph: float | None = _value("Mean over the records, km/h.", 50.0)
    speed_kph_max: float | None = _value("Largest, km/h.", 73.0)
    altitude_m: float | None = _value("Metres, of the last record with a valid fix.", 16.0)
    odometer_km: float | None = _value("Last, kilometres.", 73437.774)
    distance_km: float | None = _value(
        "Largest minus smallest odometer, km; null where its records have odometers of two sources.", 19.956
    )


class SpanRead(BaseModel):
    """The query that an answer belongs to."""

    from_: str = Field(
        alias="from",
        description="First moment of the query.",
        json_schema_extra=DATE_TIME,
        examples=["2025-12-01T00:00:00.000Z"],
    )
    to: str = Field(
        description="Moment after the last.",
        json_schema_extra=DATE_TIME,
        examples=["2025-12-06T00:00:00.000Z"],
    )
    units: Units
    resolution: Resolution


class DisclosureRead(BaseModel):
    """Where one vehicle's records came from, and what is missing in them."""

    vin: str = Field(examples=["1HGCM82633A123456"])
    tiers: list[TierName] = Field(
        description="Tiers that these records came from.", examples=[["warm", "hot"]]
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


class _PageRead(SpanRead, DisclosureRead):
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


class TelemetryPageRead(_PageRead):
    """A page of records, oldest first, `units=imperial`."""

    model_config = ConfigDict(title="TelemetryPage", validate_by_name=True)

    units: Literal[Units.IMPERIAL]
    resolution: Literal[Resolution.RAW]
    records: list[RecordRead]


class TelemetryPageMetricRead(_PageRead):
    """A page of records, oldest first, `units=metric`."""

    model_config = ConfigDict(title="TelemetryPageMetric", validate_by_name=True)

    units: Literal[Units.METRIC]
    resolution: Literal[Resolution.RAW]
    records: list[RecordMetricRead]


BucketResolution = Literal[Resolution.MINUTE, Resolution.HOUR, Resolution.DAY]


class BucketPageRead(_PageRead):
    """A page of buckets, oldest first, `units=imperial`."""

    model_config = ConfigDict(title="TelemetryBucketPage", validate_by_name=True)

    units: Literal[Units.IMPERIAL]
    resolution: BucketResolution
    records: list[BucketRead]


class BucketPageMetricRead(_PageRead):
    """A page of buckets, oldest first, `units=metric`."""

    model_config = ConfigDict(title="TelemetryBucketPageMetric", validate_by_name=True)

    units: Literal[Units.METRIC]
    resolution: BucketResolution
    records: list[BucketMetricRead]
