"""Shapes of GET /vehicles/{vin}/live-status."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.vehicles.location import Precision
from serving.vehicles.scores import PartStatus
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


class HealthPartRead(BaseModel):
    """One component's part of the health score."""

    model_config = ConfigDict(title="HealthPart")

    component: str = Field(
        description="The component; `safety_critical_codes` stands for what active trouble codes take.",
        examples=["battery"],
    )
    survival_90d: float | None = Field(
        description="Probability that it does not fail within 90 days of `health_as_of`. Null where unknown, "
        "and for what is no component.",
        ge=0,
        le=1,
        examples=[0.93],
    )
    weight: float = Field(description="Its weight in the rule.", examples=[0.6])
    points_lost: float | None = Field(
        description="Points of 100 that it costs; those of all parts add up to 100 minus the score. Null "
        "where unknown.",
        examples=[4.3],
    )
    status: PartStatus = Field(description="Whether it could be judged.", examples=["known"])
    reason: str | None = Field(
        description="Why it could not be judged; of a judged one, the trouble codes that it rests on (needs "
        "`dtc:read`).",
        examples=["no 12 V voltage was reported in the last 28 days"],
    )


class VehicleHealthRead(BaseModel):
    """How the vehicle is."""

    battery_voltage: float | None = Field(description="Volts.", examples=[12.4])
    active_dtc_codes: list[str] | None = Field(
        description="Active diagnostic trouble codes; an empty list means none, null means not known.",
        examples=[["P0300"]],
    )
    health_score: int | None = Field(
        description="0 to 100, the higher the better, of the components that can be judged; needs "
        "`maintenance:read`. Null where none can: `health_parts` says which, and why.",
        ge=0,
        le=100,
        examples=[82],
    )
    health_parts: list[HealthPartRead] | None = Field(
        description="What each component costs the score; needs `maintenance:read`."
    )
    health_rule: str | None = Field(
        description="How the score is made of its parts, in words; needs `maintenance:read`.",
        examples=["100 × product of survival_90d ^ weight, capped at 40 by a safety-critical trouble code"],
    )
    health_is_capped: bool | None = Field(
        description="Whether an active safety-critical trouble code holds the score down; needs "
        "`maintenance:read`.",
        examples=[False],
    )
    health_as_of: date | None = Field(
        description="UTC day with whose end the score's knowledge ends; needs `maintenance:read`.",
        examples=["2025-12-05"],
    )


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
        examples=[["driving_behavior.score"]],
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
