"""From two risks to one claim in words, and the probability that the claim is true.

HIGH claims a failure within 30 days, MEDIUM one within 90, LOW none within 90 (`models.md` 1.10). A
warning pays when its probability exceeds C_check / (C_check + C_miss) (1.11). `confidence` is the
probability of the claim itself, so a warning that pays at one in five is given with confidence 0.2.
"""

from enum import StrEnum
from typing import Final

import numpy as np

from ml.days import FloatArray
from ml.person_period import BoolArray, Labels
from ml.survival import LONG_DAYS, SHORT_DAYS


class RiskLevel(StrEnum):
    """What is said of a component."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    UNKNOWN = "unknown"


MISS_COST: Final = 320.0
"""[A] USD of a breakdown that a replacement would have spared: tow or call-out, and the lost half day."""
CHECK_NOW_COST: Final = 80.0
"""[A] USD of an extra visit to a workshop within days, with a battery test."""
CHECK_SOON_COST: Final = 35.0
"""[A] USD of a battery test at the next service."""
HIGH_THRESHOLD: Final = CHECK_NOW_COST / (CHECK_NOW_COST + MISS_COST)
"""On the 30 day risk: 0.20."""
MEDIUM_THRESHOLD: Final = CHECK_SOON_COST / (CHECK_SOON_COST + MISS_COST)
"""On the 90 day risk: 0.099."""


def risk_levels(risk_30: FloatArray, risk_90: FloatArray) -> list[RiskLevel]:
    """The level of each pair of risks."""
    chosen = np.where(risk_30 >= HIGH_THRESHOLD, 2, np.where(risk_90 >= MEDIUM_THRESHOLD, 1, 0))
    levels = (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH)
    return [levels[index] for index in chosen]


def confidences(risk_30: FloatArray, risk_90: FloatArray) -> FloatArray:
    """The probability that each pair's claim is true."""
    is_high, is_medium = risk_30 >= HIGH_THRESHOLD, risk_90 >= MEDIUM_THRESHOLD
    return np.where(is_high, risk_30, np.where(is_medium, risk_90, 1.0 - risk_90))


def claims_held(risk_30: FloatArray, risk_90: FloatArray, labels: Labels) -> tuple[BoolArray, BoolArray]:
    """Whether each claim came true, and whether that is known."""
    failed_30, known_30 = labels.outcome(SHORT_DAYS)
    failed_90, known_90 = labels.outcome(LONG_DAYS)
    is_high, is_medium = risk_30 >= HIGH_THRESHOLD, risk_90 >= MEDIUM_THRESHOLD
    held = np.where(is_high, failed_30, np.where(is_medium, failed_90, ~failed_90))
    return held, np.where(is_high, known_30, known_90)
