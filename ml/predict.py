"""Predictions of a day: one per vehicle, also for those of which nothing can be said."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ml.claims import RiskLevel, confidences, risk_levels
from ml.days import FloatArray, epoch_days, from_epoch_day
from ml.errors import FeatureFrameError
from ml.evidence import Evidence, explain
from ml.features import check_frame
from ml.fitted import FittedModel
from ml.sufficiency import THRESHOLD, data_sufficiency, reason_of
from ml.survival import HORIZON_DAYS, LONG_DAYS, SHORT_DAYS, days_at, risk_at

EARLY_LEVEL = 0.9
LATE_LEVEL = 0.1
"""Survival at the earliest and the latest day that are stated (`models.md` 1.8)."""
TYPICAL_LEVEL = 0.5


@dataclass(frozen=True, slots=True)
class Prediction:
    """A row of `analytics.maintenance_predictions`, in the order of its columns.

    Attributes:
        vin: the vehicle.
        component: what fails.
        as_of: everything known by the end of this UTC day.
        origin: of the vehicle's data.
        risk_level: low, medium, high or unknown.
        risk_30: P(failure within 30 days); None when unknown, like all that follows from the curve.
        risk_90: the same within 90 days.
        estimated_failure: the day of the median, only if the curve falls to 0.5 within 365 days.
        earliest_failure: the day of S = 0.9; None beyond 365 days.
        latest_failure: the day of S = 0.1; None beyond 365 days.
        confidence: the probability that the claim of `risk_level` is true (`ml.claims`).
        data_sufficiency: 0 to 1, apart from the risk (`ml.sufficiency`).
        reason: why the risk is unknown; empty otherwise.
        evidence: the strongest first.
        survival: S at the edges 0, 7, 14, 30, 60, 90, 150, 240, 365 days; empty when unknown.
        model_id: the registry's.
        trained_on: what the model learned from.
        scored_at: when, in UTC.
    """

    vin: str
    component: str
    as_of: date
    origin: str
    risk_level: RiskLevel
    risk_30: float | None
    risk_90: float | None
    estimated_failure: date | None
    earliest_failure: date | None
    latest_failure: date | None
    confidence: float | None
    data_sufficiency: float
    reason: str
    evidence: tuple[Evidence, ...]
    survival: tuple[float, ...]
    model_id: str
    trained_on: dict[str, Any]
    scored_at: datetime

    def as_row(self) -> dict[str, Any]:
        """The row as ClickHouse takes it: evidence and trained_on as JSON text."""
        row = {name: getattr(self, name) for name in self.__slots__}
        row["risk_level"] = self.risk_level.value
        row["evidence"] = json.dumps([item.as_document() for item in self.evidence], ensure_ascii=False)
        row["survival"] = list(self.survival)
        row["trained_on"] = json.dumps(self.trained_on)
        return row


def predict(
    model: FittedModel, frame: pd.DataFrame, *, scored_at: datetime | None = None
) -> list[Prediction]:
    """One prediction per row, in the order of the rows.

    Args:
        model: from the registry (`Registry.load`) or a candidate's.
        frame: the newest row of `ftr_component_days` per vehicle, of one origin. A vehicle of which no
            12 V signal is known has a row of nulls.
        scored_at: stamped on all; now by default.

    Raises:
        FeatureFrameError: the table is not as it must be, or mixes origins.
        LeakageError: a row knows the future.
    """
    checked = check_frame(frame)
    origins = sorted(checked["origin"].unique())
    if len(origins) > 1:
        message = (
            f"origins are never scored together, the rows have {', '.join(origins)}: score one at a time"
        )
        raise FeatureFrameError(message)
    stamp = scored_at or datetime.now(UTC)
    sufficiency = data_sufficiency(checked)
    is_scored = sufficiency >= THRESHOLD
    scored = iter(_scored(model, checked[is_scored].reset_index(drop=True), sufficiency[is_scored], stamp))
    unknown = iter(_unknown(model, checked[~is_scored], sufficiency[~is_scored], stamp))
    return [next(scored) if known else next(unknown) for known in is_scored]


def _scored(
    model: FittedModel, frame: pd.DataFrame, sufficiency: FloatArray, stamp: datetime
) -> list[Prediction]:
    if frame.empty:
        return []
    curves = model.survival(frame)
    risk_30, risk_90 = risk_at(curves, SHORT_DAYS), risk_at(curves, LONG_DAYS)
    levels = risk_levels(risk_30, risk_90)
    confidence = confidences(risk_30, risk_90)
    evidence = explain(frame, model.long_risk, model.reference, levels)
    early, typical, late = (days_at(curves, level) for level in (EARLY_LEVEL, TYPICAL_LEVEL, LATE_LEVEL))
    days = epoch_days(frame["as_of"])
    return [
        Prediction(
            vin=vin,
            component=model.component,
            as_of=from_epoch_day(days[row]),
            origin=origin,
            risk_level=levels[row],
            risk_30=float(risk_30[row]),
            risk_90=float(risk_90[row]),
            estimated_failure=_after(days[row], typical[row]),
            earliest_failure=_after(days[row], early[row]),
            latest_failure=_after(days[row], late[row]),
            confidence=float(confidence[row]),
            data_sufficiency=float(sufficiency[row]),
            reason="",
            evidence=evidence[row],
            survival=tuple(curves[row].tolist()),
            model_id=model.model_id,
            trained_on=model.trained_on,
            scored_at=stamp,
        )
        for row, (vin, origin) in enumerate(zip(frame["vin"], frame["origin"], strict=True))
    ]


def _unknown(
    model: FittedModel, frame: pd.DataFrame, sufficiency: FloatArray, stamp: datetime
) -> list[Prediction]:
    days = epoch_days(frame["as_of"])
    return [
        Prediction(
            vin=row["vin"],
            component=model.component,
            as_of=from_epoch_day(days[position]),
            origin=row["origin"],
            risk_level=RiskLevel.UNKNOWN,
            risk_30=None,
            risk_90=None,
            estimated_failure=None,
            earliest_failure=None,
            latest_failure=None,
            confidence=None,
            data_sufficiency=float(sufficiency[position]),
            reason=reason_of(row),
            evidence=(),
            survival=(),
            model_id=model.model_id,
            trained_on=model.trained_on,
            scored_at=stamp,
        )
        for position, row in enumerate(frame.to_dict("records"))
    ]


def _after(as_of: np.int64, days: np.float64) -> date | None:
    """The day that many days later, at least the next one; None when the curve never gets there."""
    if math.isnan(days) or days > HORIZON_DAYS:
        return None
    return from_epoch_day(int(as_of)) + timedelta(days=max(1, math.ceil(days)))
