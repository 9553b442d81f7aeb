"""The health score: one number of a vehicle, with parts that add up to what is missing from 100.

100 times the product of S_c(90 d)^w_c over the components that are known; a component's points are its
share of the sum of -w_c ln S_c (`models.md` 1.13).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from ml.predict import Prediction
from ml.survival import EDGES, LONG_DAYS

WEIGHTS: Final[dict[str, float]] = {"brakes": 1.0, "engine": 0.8, "battery": 0.6, "fuel": 0.5}
"""[A] How much a component's failure matters to a vehicle (`models.md` 1.13)."""
CAP: Final = 40
"""[A] The highest score of a vehicle with an active safety-critical trouble code."""
SAFETY_PREFIXES: Final = ("C0", "C1", "B00", "B01")
"""[A] Chassis codes (brakes, steering, stability) and restraint codes."""
SAFETY_CODES: Final = frozenset({"P0217", "P0218", "P0522", "P0523", "P0524", "P0571", "U0121", "U0131"})
"""[A] Overheating, oil pressure, brake switch, lost contact with the ABS or the power steering."""
SAFETY_PART: Final = "safety_critical_codes"
RULE: Final = (
    "100 x product of S(90 days)^weight over the known components; "
    f"at most {CAP} while a safety-critical trouble code is active "
    "(chassis C0/C1, restraints B00/B01, overheating, oil pressure, brake switch, lost ABS or steering)"
)
EXPECTED: Final = tuple(WEIGHTS)


@dataclass(frozen=True, slots=True)
class HealthPart:
    """One component's share.

    Attributes:
        component: its name, or SAFETY_PART for what the cap takes.
        survival_90: P(no failure within 90 days); None when unknown.
        weight: of the component.
        points_lost: of 100; None when unknown. Those of all parts add up to 100 minus the score.
        status: 'known' or 'unknown'.
        reason: why it is unknown, or which codes cap the score.
    """

    component: str
    survival_90: float | None
    weight: float
    points_lost: float | None
    status: str
    reason: str = ""

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class HealthScore:
    """A row of `analytics.health_scores`, in the order of its columns.

    Attributes:
        vin: the vehicle.
        as_of: of its predictions.
        origin: of its data.
        health_score: 0 to 100; None when no component is known.
        parts: the components.
        rule: how the score is made, in words.
        is_capped: whether a trouble code lowered it.
        scored_at: when, in UTC.
    """

    vin: str
    as_of: date
    origin: str
    health_score: int | None
    parts: tuple[HealthPart, ...]
    rule: str
    is_capped: bool
    scored_at: datetime

    def as_row(self) -> dict[str, Any]:
        """The row as ClickHouse takes it: the parts as JSON text."""
        row = {name: getattr(self, name) for name in self.__slots__}
        row["parts"] = json.dumps([part.as_document() for part in self.parts], ensure_ascii=False)
        return row


def is_safety_critical(code: str) -> bool:
    """Whether a trouble code caps the score."""
    return code.startswith(SAFETY_PREFIXES) or code in SAFETY_CODES


def health_scores(
    predictions: Sequence[Prediction],
    active_dtc: Mapping[str, tuple[str, ...]],
    *,
    scored_at: datetime | None = None,
) -> list[HealthScore]:
    """One score per vehicle, in the order in which vehicles first appear.

    Args:
        predictions: of one day; any number of components per vehicle.
        active_dtc: trouble codes active at the end of the day by VIN; vehicles without any may be absent.
        scored_at: stamped on all; now by default.
    """
    stamp = scored_at or datetime.now(UTC)
    by_vin: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        by_vin.setdefault(prediction.vin, []).append(prediction)
    return [_score(group, active_dtc.get(vin, ()), stamp) for vin, group in by_vin.items()]


def _score(group: list[Prediction], codes: tuple[str, ...], stamp: datetime) -> HealthScore:
    predicted = {prediction.component: prediction for prediction in group}
    costs = {
        name: -WEIGHTS[name] * math.log(max(_survival(prediction), 1e-9))
        for name, prediction in predicted.items()
        if prediction.survival and name in WEIGHTS
    }
    total = sum(costs.values())
    uncapped = round(100 * math.exp(-total))
    critical = tuple(code for code in codes if is_safety_critical(code))
    is_capped = bool(costs) and bool(critical) and uncapped > CAP
    points = _apportion(
        100 - uncapped, {name: cost / total if total else 0.0 for name, cost in costs.items()}
    )
    parts = [_part(name, predicted.get(name), points.get(name)) for name in EXPECTED]
    if is_capped:
        reason = f"active: {', '.join(critical)}"
        parts.append(HealthPart(SAFETY_PART, None, 0.0, float(uncapped - CAP), "known", reason))
    score = (CAP if is_capped else uncapped) if costs else None
    first = group[0]
    return HealthScore(first.vin, first.as_of, first.origin, score, tuple(parts), RULE, is_capped, stamp)


def _part(name: str, prediction: Prediction | None, points: float | None) -> HealthPart:
    if prediction is None:
        return HealthPart(name, None, WEIGHTS[name], None, "unknown", "no model for this component yet")
    if points is None:
        return HealthPart(name, None, WEIGHTS[name], None, "unknown", prediction.reason)
    return HealthPart(name, _survival(prediction), WEIGHTS[name], points, "known")


def _survival(prediction: Prediction) -> float:
    return prediction.survival[EDGES.index(LONG_DAYS)]


def _apportion(points: int, shares: dict[str, float]) -> dict[str, float]:
    """Tenths of points by share that add up exactly: the largest remainders get what rounding left over."""
    tenths = {name: points * 10 * share for name, share in shares.items()}
    given = {name: math.floor(value + 1e-9) for name, value in tenths.items()}
    left = points * 10 - sum(given.values()) if sum(shares.values()) else 0
    for name in sorted(tenths, key=lambda name: given[name] - tenths[name])[:left]:
        given[name] += 1
    return {name: value / 10 for name, value in given.items()}
