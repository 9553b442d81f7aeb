"""The document `scores:{vin}` as `warehouse.publish` writes it, and as this release reads it.

The one who wrote it may have been an older release or a newer one. So what is missing is None, fields that
nobody here knows are ignored, and each section is read by itself: one that does not fit is left out and noted
in the log, and the others still serve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

_log = structlog.get_logger("serving.scores")

Probability = Annotated[float, Field(ge=0, le=1)]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Odometer(_Stored):
    """The newest reading of the vehicle's one source."""

    miles: float


class Driving(_Stored):
    """A week of driving."""

    avg_speed_mph_7d: float | None = None
    hard_brakes_7d: int | None = None


class RiskLevel(StrEnum):
    """What is claimed of a component; `confidence` is the probability that the claim is true."""

    LOW = "low"
    """No failure within 90 days."""
    MEDIUM = "medium"
    """A failure within 90 days."""
    HIGH = "high"
    """A failure within 30 days."""
    UNKNOWN = "unknown"
    """No claim: the reason says why."""


class Evidence(_Stored):
    """One finding behind a prediction."""

    text: str
    feature: str
    value: float | None = None
    unit: str | None = None
    observed_on: date | None = Field(None, validation_alias="date")
    fleet_quantile: Probability | None = None


class TrainedOn(_Stored):
    """What a model has learnt from."""

    origins: tuple[str, ...] = ()
    vehicle_count: int | None = None
    failure_count: int | None = None
    landmark_count: int | None = None
    data_from: date | None = None
    data_until: date | None = None
    data_hash: str | None = None


class Prediction(_Stored):
    """What a model says of one component."""

    component: str
    risk_level: RiskLevel
    risk_30: Probability | None = None
    risk_90: Probability | None = None
    estimated_failure: date | None = None
    earliest_failure: date | None = None
    latest_failure: date | None = None
    confidence: Probability | None = None
    data_sufficiency: Probability
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    model_id: str = ""
    trained_on: TrainedOn = TrainedOn()


class Maintenance(_Stored):
    """A vehicle's predictions of one day."""

    as_of: date
    predictions: tuple[Prediction, ...]

    @field_validator("predictions", mode="before")
    @classmethod
    def _sound_ones(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [sound for each in value if (sound := _maybe(Prediction, each, "prediction")) is not None]


class PartStatus(StrEnum):
    """Whether a component's part of the health score could be told."""

    KNOWN = "known"
    UNKNOWN = "unknown"


class HealthPart(_Stored):
    """One component's part of the health score."""

    component: str
    survival_90: Probability | None = None
    weight: float
    points_lost: float | None = None
    status: PartStatus
    reason: str = ""


class Health(_Stored):
    """A vehicle's health score of one day."""

    as_of: date
    score: Annotated[int, Field(ge=0, le=100)] | None = None
    parts: tuple[HealthPart, ...]
    rule: str
    is_capped: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """What is published of a vehicle; None where nothing is, or nothing that can be read."""

    as_of: date | None = None
    """Last UTC day of the week that `driving` is about."""
    odometer: Odometer | None = None
    driving: Driving | None = None
    maintenance: Maintenance | None = None
    health: Health | None = None


Section = TypeVar("Section", bound=_Stored)

_DATE = TypeAdapter(date)


def parse_scores(stored: bytes | str | None) -> Scores:
    """The published document; empty where there is none or it cannot be read."""
    if stored is None:
        return Scores()
    try:
        document = orjson.loads(stored)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        _log.warning("damaged_scores", section="document")
        return Scores()
    return Scores(
        as_of=_maybe_date(document),
        odometer=_maybe(Odometer, document.get("odometer"), "odometer"),
        driving=_maybe(Driving, document.get("driving"), "driving"),
        maintenance=_maybe(Maintenance, document.get("maintenance"), "maintenance"),
        health=_maybe(Health, document.get("health"), "health"),
    )


def _maybe(model: type[Section], value: object, section: str) -> Section | None:
    """The section, None where it is missing or does not fit."""
    if value is None:
        return None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        _log.warning("damaged_scores", section=section, fields=_places(error))
        return None


def _maybe_date(document: Mapping[str, Any]) -> date | None:
    if document.get("as_of") is None:
        return None
    try:
        return _DATE.validate_python(document["as_of"])
    except ValidationError:
        _log.warning("damaged_scores", section="as_of")
        return None


def _places(error: ValidationError) -> list[str]:
    """Which fields are wrong, without their values: those are somebody's."""
    return [".".join(map(str, each["loc"])) for each in error.errors(include_input=False, include_url=False)]
