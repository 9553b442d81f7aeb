"""Shapes of GET /vehicles/{vin}/maintenance-prediction."""

import datetime

from pydantic import BaseModel, ConfigDict, Field

from serving.vehicles.scores import RiskLevel


class MaintenanceQuery(BaseModel):
    """Query of maintenance-prediction: there is none. An unknown parameter is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")


class EvidenceRead(BaseModel):
    """One finding behind a prediction, in numbers."""

    model_config = ConfigDict(title="Evidence")

    text: str = Field(
        description="The finding in words, as in `evidence`.",
        examples=["lowest crank voltage 8.9 V on 2026-01-12, fleet P2"],
    )
    feature: str = Field(
        description="The model's name of what was measured; stable, so that you can compute with it.",
        examples=["crank_min_v_28d"],
    )
    value: float | None = Field(
        description="The vehicle's value, in `unit`. Null: never measured.", examples=[8.9]
    )
    unit: str | None = Field(
        description="Unit of `value` (UCUM: `V`, `mOhm`, `Cel`, `d`, `a`); `1` is a plain number.",
        examples=["V"],
    )
    observed_on: datetime.date | None = Field(
        description="UTC day of the measurement; null where the value sums up a window of days.",
        examples=["2026-01-12"],
    )
    fleet_quantile: float | None = Field(
        description="Share of the fleet that the model learned from with a lower value in the same month of "
        "the year: 0.02 means that 2 % are lower. Null where there is nothing to compare with.",
        ge=0,
        le=1,
        examples=[0.02],
    )


class TrainedOnRead(BaseModel):
    """What the model behind a prediction has learnt from."""

    model_config = ConfigDict(title="TrainedOn")

    is_simulated_only: bool | None = Field(
        description="True: the model has seen simulated vehicles only, so its figures are proven on "
        "simulated failures and not yet on real ones; weigh it accordingly. Null: not recorded.",
        examples=[True],
    )
    origins: list[str] = Field(
        description="Where its vehicles come from: `live`, `recorded`, `simulated`.", examples=[["simulated"]]
    )
    vehicle_count: int | None = Field(description="Vehicles that it learnt from.", examples=[1000])
    failure_count: int | None = Field(description="Failures among them.", examples=[412])
    landmark_count: int | None = Field(
        description="Moments of vehicles' lives that it learnt from.", examples=[48210]
    )
    data_from: datetime.date | None = Field(description="First UTC day of its data.", examples=["2024-01-01"])
    data_until: datetime.date | None = Field(description="Last UTC day of its data.", examples=["2025-12-31"])
    data_hash: str | None = Field(
        description="Fingerprint of its data: two models with the same one learnt from the same rows.",
        examples=["5f2b9c0e"],
    )


class PredictionRead(BaseModel):
    """What is expected of one component."""

    model_config = ConfigDict(title="Prediction")

    component: str = Field(description="The component.", examples=["battery"])
    risk_level: RiskLevel = Field(
        description="What we claim. `high`: it fails within 30 days of `as_of`. `medium`: it fails within 90 "
        "days. `low`: it does not fail within 90 days. `unknown`: we claim nothing, `reason` says why.",
        examples=["medium"],
    )
    estimated_failure: datetime.date | None = Field(
        description="Day by which the component has failed with a probability of one half. Null where a "
        "failure within 12 months is less likely than that (it is later then; we do not extrapolate), and "
        "where `risk_level` is `unknown`.",
        examples=["2026-03-15"],
    )
    confidence: float | None = Field(
        description="Calibrated probability that the claim of `risk_level` is true: for `high` that of a "
        "failure within 30 days, for `medium` within 90 days, for `low` that of none within 90 days. It says "
        "nothing about how much data there was: that is `data_sufficiency`, and the two are never "
        "multiplied. Null where `risk_level` is `unknown`.",
        ge=0,
        le=1,
        examples=[0.78],
    )
    evidence: list[str] = Field(
        description="The findings that moved the prediction most, in words; the same in numbers in "
        "`evidence_details`.",
        examples=[["lowest crank voltage 8.9 V on 2026-01-12, fleet P2"]],
    )
    earliest_failure: datetime.date | None = Field(
        description="Day by which it has failed with a probability of one tenth. Null: later than 12 months, "
        "or `unknown`.",
        examples=["2026-01-20"],
    )
    latest_failure: datetime.date | None = Field(
        description="Day by which it has failed with a probability of nine tenths. Null: later than 12 "
        "months, or `unknown`.",
        examples=["2026-08-02"],
    )
    risk_30d: float | None = Field(
        description="Probability of a failure within 30 days of `as_of`.", ge=0, le=1, examples=[0.21]
    )
    risk_90d: float | None = Field(
        description="Probability of a failure within 90 days of `as_of`.", ge=0, le=1, examples=[0.78]
    )
    data_sufficiency: float = Field(
        description="0 to 1: how well the component could be observed lately (days with data, signals "
        "present). Apart from `confidence`, and no factor of it; where it is too low, `risk_level` is "
        "`unknown`.",
        ge=0,
        le=1,
        examples=[0.93],
    )
    reason: str | None = Field(
        description="Why nothing is claimed; null unless `risk_level` is `unknown`.",
        examples=["no 12 V voltage was reported in the last 28 days"],
    )
    evidence_details: list[EvidenceRead] = Field(
        description="The findings in numbers, the strongest first; one for each text of `evidence`."
    )
    model_id: str | None = Field(
        description="The model that said this; null where none was asked.",
        examples=["20260101T020000Z-1f3c9a"],
    )
    trained_on: TrainedOnRead | None = Field(
        description="What that model has learnt from, simulated vehicles or real ones; null where none was "
        "asked."
    )


class MaintenancePredictionRead(BaseModel):
    """A vehicle's predictions, one for each component that a model exists for."""

    model_config = ConfigDict(title="MaintenancePrediction")

    vin: str = Field(examples=["1HGCM82633A123456"])
    predictions: list[PredictionRead] = Field(
        description="One for each component; empty where the vehicle was never scored, and then also in "
        "`pending`."
    )
    as_of: datetime.date | None = Field(
        description="UTC day with whose end the predictions' knowledge ends, and from which their days "
        "count. Null where the vehicle was never scored.",
        examples=["2025-12-05"],
    )
    pending: list[str] = Field(
        description="Paths that are empty because no source has delivered a value (yet).", examples=[[]]
    )
    withheld: list[str] = Field(
        description="Paths that are empty because the token or the owner's consent does not cover them.",
        examples=[[]],
    )
