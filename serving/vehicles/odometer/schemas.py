"""Shapes of GET /vehicles/{vin}/odometer-history."""

import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.time_range import Moment
from serving.vehicles.query import UnitsParameter
from serving.vehicles.units import Units


class OdometerQuery(BaseModel):
    """Query of odometer-history. An unknown parameter is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    from_: Moment | None = Field(
        None,
        alias="from",
        description="First moment, RFC 3339; a bare date means 00:00Z. Left out: twenty years before `to`.",
        examples=["2025-01-01"],
    )
    to: Moment | None = Field(
        None, description="Moment after the last, RFC 3339. Left out: now.", examples=["2025-12-06"]
    )
    units: UnitsParameter = Units.IMPERIAL


class _ReadingRead(BaseModel):
    date: datetime.date = Field(description="UTC day.", examples=["2025-06-01"])
    source: str = Field(
        description="`gps_continuous`: counted by the tracker; `can`, `obd`: read from the vehicle.",
        examples=["gps_continuous"],
    )


class ReadingRead(_ReadingRead):
    """The last reading of one day."""

    model_config = ConfigDict(title="OdometerReading")

    odometer: float = Field(description="Miles.", examples=[43500.0])


class ReadingMetricRead(_ReadingRead):
    """The last reading of one day."""

    model_config = ConfigDict(title="OdometerReadingMetric")

    odometer_km: float = Field(description="Kilometres.", examples=[70006.5])


class _HistoryRead(BaseModel):
    vin: str = Field(examples=["1HGCM82633A123456"])
    from_: str = Field(
        alias="from",
        description="First moment that was asked for.",
        json_schema_extra={"format": "date-time"},
        examples=["2025-01-01T00:00:00.000Z"],
    )
    to: str = Field(
        description="Moment after the last.",
        json_schema_extra={"format": "date-time"},
        examples=["2025-12-07T00:00:00.000Z"],
    )
    anomalies: list[dict[str, Any]] | None = Field(
        description="Rollbacks and other breaks; null until the odometer assessment exists."
    )
    confidence: float | None = Field(
        description="0 to 1, that the mileage is true; null until the odometer assessment exists.",
        ge=0,
        le=1,
    )
    pending: list[str] = Field(
        description="Paths that are null because no source has delivered a value (yet).",
        examples=[["anomalies", "confidence"]],
    )
    withheld: list[str] = Field(
        description="Paths that are null because the token or the owner's consent does not cover them.",
        examples=[[]],
    )


class OdometerHistoryRead(_HistoryRead):
    """Mileage over time, `units=imperial`."""

    model_config = ConfigDict(title="OdometerHistory", validate_by_name=True)

    units: Literal[Units.IMPERIAL] = Units.IMPERIAL
    readings: list[ReadingRead]


class OdometerHistoryMetricRead(_HistoryRead):
    """Mileage over time, `units=metric`."""

    model_config = ConfigDict(title="OdometerHistoryMetric", validate_by_name=True)

    units: Literal[Units.METRIC] = Units.METRIC
    readings: list[ReadingMetricRead]
