"""Shapes of GET /api/v1/search."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from serving.vehicles.live_status.schemas import LocationRead
from serving.vehicles.location import Precision
from telematics.names import Origin

_DATE_TIME: JsonDict = {"format": "date-time"}


class TroubleCodeRead(BaseModel):
    """An active trouble code."""

    model_config = ConfigDict(title="FoundTroubleCode")

    code: str = Field(description="SAE J2012.", examples=["P0300"])
    meaning: str | None = Field(
        description="What it means; null for codes of makers and others that are not known here.",
        examples=["Misfire detected, random or multiple cylinders"],
    )


class _FoundRead(BaseModel):
    vin: str = Field(description="Vehicle identification number.", examples=["1HGCM82633A123456"])
    origin: Origin = Field(description="Where its data come from.")
    make: str | None = Field(description="Make, null where not registered.", examples=["Honda"])
    model: str | None = Field(description="Model, null where not registered.", examples=["Accord"])
    year: int | None = Field(description="Model year, null where not registered.", examples=[2019])
    odometer_at: str | None = Field(
        description="When the odometer read that, UTC; midnight where only its day is known.",
        json_schema_extra=_DATE_TIME,
        examples=["2025-12-06T06:55:00.000Z"],
    )
    health_score: int | None = Field(description="0 to 100.", ge=0, le=100, examples=[87])
    dtc: list[TroubleCodeRead] | None = Field(
        description="Active trouble codes; an empty list means none, null not known."
    )
    location: LocationRead | None = Field(description="Where it was last.")
    location_precision: Precision | None = Field(description="How exact the location is; null: withheld.")
    location_at: str | None = Field(
        description="When it was there, UTC.",
        json_schema_extra=_DATE_TIME,
        examples=["2025-12-06T06:55:00.000Z"],
    )
    last_seen: str | None = Field(
        description="Time of its newest record, UTC.",
        json_schema_extra=_DATE_TIME,
        examples=["2025-12-06T06:55:00.500Z"],
    )
    pending: list[str] = Field(description="Fields that no source has delivered yet.")
    withheld: list[str] = Field(description="Fields that your token or the owner's consent does not cover.")


class FoundRead(_FoundRead):
    """A vehicle that was found, `units=imperial`."""

    model_config = ConfigDict(title="FoundVehicle")

    odometer: float | None = Field(description="Miles.", examples=[61234.5])
    distance_mi: float | None = Field(
        description="Miles from `near`, from the location as shown; null without `near`.", examples=[3.2]
    )


class FoundMetricRead(_FoundRead):
    """A vehicle that was found, `units=metric`."""

    model_config = ConfigDict(title="FoundVehicleMetric")

    odometer_km: float | None = Field(description="Kilometres.", examples=[98547.4])
    distance_km: float | None = Field(
        description="Kilometres from `near`, from the location as shown; null without `near`.", examples=[5.1]
    )


class FacetCountRead(BaseModel):
    """How many of what was found have a value."""

    model_config = ConfigDict(title="FacetCount")

    value: str | int = Field(description="The value.", examples=["Honda"])
    count: int = Field(description="Vehicles that have it.", examples=[12])


class _PageRead(BaseModel):
    total: int = Field(description="Vehicles found, on all pages.", examples=[12])
    total_is_exact: bool = Field(description="False: there are more than `total`; counting ends at 10,000.")
    facets: dict[str, list[FacetCountRead]] = Field(
        description="By facet, the 50 most frequent values; empty where none was asked for."
    )
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class SearchPageRead(_PageRead):
    """A page of what was found, `units=imperial`."""

    model_config = ConfigDict(title="SearchPage")

    results: list[FoundRead] = Field(description="Vehicles in the order asked for.")


class SearchPageMetricRead(_PageRead):
    """A page of what was found, `units=metric`."""

    model_config = ConfigDict(title="SearchPageMetric")

    results: list[FoundMetricRead] = Field(description="Vehicles in the order asked for.")
