"""Why a risk is what it is: three groups of features, each by a number that a person can check.

A group's contribution is the logit of the 90 day risk minus the logit with the group's features set to the
fleet's median of the month. For a raised risk only contributions that raise it are given (`models.md` 1.12).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd

from ml.calibration import logit
from ml.claims import RiskLevel
from ml.days import NO_DAY, DayArray, FloatArray, epoch_days, from_epoch_day
from ml.features import FEATURES, Feature, Group
from ml.reference import FleetReference

LOWEST_CRANK: Final = "crank_min_v_28d"
"""The one feature that is a single measurement, with a day and a temperature of its own."""
MAX_ITEMS: Final = 3
MIN_CONTRIBUTION: Final = 0.05
"""In logits; what moves the odds by less than 5 % is no reason."""
SYMBOLS: Final = {"mOhm": "mΩ", "Cel": "°C"}
GROUP_ORDER: Final = tuple(group for group in Group if group is not Group.SEASON)
"""Season is no evidence: the reference is the month's own."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason.

    Attributes:
        text: a short sentence with number, date and fleet quantile.
        feature: the column that is quoted.
        value: its value in `unit`.
        unit: as in `ml.features`.
        date: of the measurement, where it has one.
        fleet_quantile: 0 to 1 among the fleet in that month of the year.
        contribution: of the feature's group, in logits of the 90 day risk; above 0 raises it.
    """

    text: str
    feature: str
    value: float
    unit: str
    date: date | None
    fleet_quantile: float | None
    contribution: float

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "text": self.text,
            "feature": self.feature,
            "value": self.value,
            "unit": self.unit,
            "date": self.date.isoformat() if self.date else None,
            "fleet_quantile": self.fleet_quantile,
            "contribution": self.contribution,
        }


def explain(
    frame: pd.DataFrame,
    risk_of: Callable[[pd.DataFrame], FloatArray],
    reference: FleetReference,
    levels: list[RiskLevel],
) -> list[tuple[Evidence, ...]]:
    """The evidence of each row, the strongest first.

    Args:
        frame: checked feature rows.
        risk_of: the 90 day risk of rows, as published.
        reference: the fleet.
        levels: what is claimed of each row.
    """
    contributions = contributions_of(frame, risk_of, reference)
    quoted: dict[Group, _Quoted] = {group: _quotable(frame, reference, group) for group in GROUP_ORDER}
    crank = _LowestCrank(
        epoch_days(frame["crank_min_v_28d_date"]),
        pd.to_numeric(frame["ambient_at_crank_min_c"]).to_numpy(dtype=np.float64, na_value=np.nan),
    )
    return [
        _items(position, crank, contributions[position], quoted, level)
        for position, level in enumerate(levels)
    ]


def contributions_of(
    frame: pd.DataFrame, risk_of: Callable[[pd.DataFrame], FloatArray], reference: FleetReference
) -> FloatArray:
    """Contribution of each group of GROUP_ORDER in logits, shape (rows, groups)."""
    medians = reference.medians(frame)
    copies = [frame]
    for group in GROUP_ORDER:
        names = [feature.name for feature in FEATURES if feature.group is group]
        copies.append(frame.assign(**{name: medians[name] for name in names}))
    risks = logit(risk_of(pd.concat(copies, ignore_index=True)))
    stacked = risks.reshape(len(copies), len(frame))
    return np.asarray((stacked[0] - stacked[1:]).T, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Quoted:
    """A group's quotable features with each row's values and quantiles, shape (rows, features)."""

    features: tuple[Feature, ...]
    values: FloatArray
    quantiles: FloatArray


@dataclass(frozen=True, slots=True)
class _LowestCrank:
    """When each row's lowest crank voltage was measured, and how cold it was."""

    day: DayArray
    ambient_c: FloatArray


def _quotable(frame: pd.DataFrame, reference: FleetReference, group: Group) -> _Quoted:
    features = tuple(feature for feature in FEATURES if feature.group is group and feature.words)
    return _Quoted(
        features,
        np.column_stack([frame[feature.name].to_numpy(dtype=np.float64) for feature in features]),
        np.column_stack([reference.quantile_of(frame, feature.name) for feature in features]),
    )


def _items(
    position: int,
    crank: _LowestCrank,
    contributions: FloatArray,
    quoted: dict[Group, _Quoted],
    level: RiskLevel,
) -> tuple[Evidence, ...]:
    is_raised = level in (RiskLevel.MEDIUM, RiskLevel.HIGH)
    strength = contributions if is_raised else np.abs(contributions)
    items: list[Evidence] = []
    for index in np.argsort(-strength, kind="stable"):
        if strength[index] < MIN_CONTRIBUTION or len(items) == MAX_ITEMS:
            break
        item = _item(position, crank, float(contributions[index]), quoted[GROUP_ORDER[index]])
        if item:
            items.append(item)
    return tuple(items)


def _item(position: int, crank: _LowestCrank, contribution: float, quoted: _Quoted) -> Evidence | None:
    """The group's feature that stands furthest out in the direction of the contribution; None if unknown."""
    quantiles = quoted.quantiles[position]
    sign = 1.0 if contribution > 0 else -1.0
    directions = np.array([feature.direction for feature in quoted.features], dtype=np.float64)
    offsets = quantiles - 0.5
    extremes = np.where(directions == 0, np.abs(offsets), sign * directions * offsets)
    if np.isnan(extremes).all():
        return None
    chosen = int(np.nanargmax(extremes))
    feature, value = quoted.features[chosen], float(quoted.values[position, chosen])
    quantile = float(quantiles[chosen])
    is_crank = feature.name == LOWEST_CRANK and crank.day[position] != NO_DAY
    day = from_epoch_day(crank.day[position]) if is_crank else None
    ambient_c = float(crank.ambient_c[position]) if is_crank else math.nan
    return Evidence(
        text=_sentence(feature, value, quantile, day, ambient_c),
        feature=feature.name,
        value=value,
        unit=feature.unit,
        date=day,
        fleet_quantile=round(quantile, 4),
        contribution=round(contribution, 4),
    )


def _sentence(feature: Feature, value: float, quantile: float, day: date | None, ambient_c: float) -> str:
    sign = "+" if feature.group is Group.TREND else ""
    number = f"{value:{sign}.{feature.decimals}f}"
    if "{}" in feature.words:
        parts = [feature.words.format(number)]
    else:
        parts = [f"{feature.words} {number} {SYMBOLS.get(feature.unit, feature.unit)}"]
    if day:
        parts.append(f"on {day.isoformat()}")
        if not math.isnan(ambient_c):
            parts.append(f"at {ambient_c:.0f} °C")
    percentile = min(max(round(quantile * 100), 1), 99)
    return f"{' '.join(parts)}, fleet P{percentile}"
