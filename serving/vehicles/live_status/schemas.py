"""Shapes of GET /vehicles/{vin}/live-status."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.vehicles.location import Precision
from serving.vehicles.units import Units


class LocationRead(BaseModel):
    """A position (WGS 84)."""

    lat: float = Field(description="Latitude in degrees.", ge=-90, le=90, examples=[37.7749])
    lng: float = Field(description="Longitude in degrees.", ge=-180, le=180, examples=[-122.4194])
    accuracy_m: float | None = Field(
        description="Horizontal accuracy in metres: HDOP × 5 m; with `location:coarse` 790 m more, which is "
        "the most that rounding moves a position. Null where the device reports no HDOP.",
        examples=[5.0],
    )


class VehicleHealthRead(BaseModel):
    """How the vehicle is."""

    battery_voltage: float | None = Field(description="Volts.", examples=[12.4])
    active_dtc_codes: list[str] | None = Field(
        description="Active diagnostic trouble codes; an empty list means none, null means not known.",
        examples=[["P0300"]],
    )
    health_score: int | None = Field(description="0 to 100.", examples=[82])


class _DrivingRead(BaseModel):
    hard_brakes_7d: int | None = Field(
        description="Hard braking events in the seven days. Null where the tracker does not report them.",
        examples=[3],
    )
    score: int | None = Field(description="0 to 100; needs `score:read`.", examples=[88])
    as_of: date | None = Field(
        description="Last UTC day of the seven: the newest one with data that is summed up.",
        examples=["2025-12-05"],
    )


class DrivingBehaviorRead(_DrivingRead):
    """How it was driven in the seven days that end with `as_of`."""

    avg_speed_7d: float | None = Field(description="Mean speed while driving, mph.", examples=[32.0])


class DrivingBehaviorMetricRead(_DrivingRead):
    """How it was driven in the seven days that end with `as_of`."""

    avg_speed_7d_kph: float | None = Field(description="Mean speed while driving, km/h.", examples=[51.5])


class _LiveStatusRead(BaseModel):
    vin: str = Field(examples=["1HGCM82633A123456"])
    last_seen: str | None = Field(
        description="Device time of the newest record, RFC 3339 UTC.",
        json_schema_extra={"format": "date-time"},
        examples=["2025-12-06T06:55:00.000Z"],
    )
    location: LocationRead | None = Field(description="Last position with a valid fix.")
    vehicle_health: VehicleHealthRead
    observed_at: dict[str, str] = Field(
        description="Device time of each live value, by path: signals come at different times, so compare "
        "with `last_seen` before you use one.",
        examples=[{"location": "2025-12-06T06:55:00.000Z"}],
    )
    location_precision: Precision | None = Field(
        description="`precise`, `coarse` (rounded to 0.01°), or null: no location scope.",
        examples=["precise"],
    )
    pending: list[str] = Field(
        description="Paths that are null because no source has delivered a value (yet).",
        examples=[["vehicle_health.health_score", "driving_behavior.score"]],
    )
    withheld: list[str] = Field(
        description="Paths that are null because the token or the owner's consent does not cover them.",
        examples=[[]],
    )


class LiveStatusRead(_LiveStatusRead):
    """A vehicle's newest state, `units=imperial`."""

    model_config = ConfigDict(title="LiveStatus")

    units: Literal[Units.IMPERIAL] = Units.IMPERIAL
    current_odometer: float | None = Field(description="Miles.", examples=[45632.0])
    driving_behavior: DrivingBehaviorRead


class LiveStatusMetricRead(_LiveStatusRead):
    """A vehicle's newest state, `units=metric`."""

    model_config = ConfigDict(title="LiveStatusMetric")

    units: Literal[Units.METRIC] = Units.METRIC
    current_odometer_km: float | None = Field(description="Kilometres.", examples=[73437.4])
    driving_behavior: DrivingBehaviorMetricRead
