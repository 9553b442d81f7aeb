"""Recalibration of whole curves by two numbers, and the identity.

The logit of the risk is scaled and shifted alike at every horizon, so a curve stays a curve. Whether it is
used is decided by held-out log-loss (`models.md` 0.3, 1.6: by reflex it makes things worse).
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from ml.days import FloatArray
from ml.person_period import BoolArray

FLOOR = 1e-9
"""Risks are kept this far from 0 and 1 before their logit is taken."""


def logit(risk: FloatArray) -> FloatArray:
    """ln(p / (1 - p)), finite at 0 and 1."""
    inside = np.clip(risk, FLOOR, 1 - FLOOR)
    return np.log(inside) - np.log1p(-inside)


@dataclass(frozen=True, slots=True)
class Calibration:
    """logit(risk') = intercept + slope * logit(risk); the identity unless fitted.

    Attributes:
        slope: above 0, so that the order of vehicles and of days stays.
        intercept: in logits.
    """

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether curves pass unchanged."""
        return self.slope == 1.0 and self.intercept == 0.0

    def risk(self, risk: FloatArray) -> FloatArray:
        """Calibrated risks of any shape."""
        if self.is_identity:
            return risk
        return 1.0 / (1.0 + np.exp(-(self.intercept + self.slope * logit(risk))))

    def curves(self, curves: FloatArray) -> FloatArray:
        """Calibrated survival curves, still 1 at day 0."""
        if self.is_identity:
            return curves
        calibrated = 1.0 - self.risk(1.0 - curves)
        calibrated[:, 0] = 1.0
        return calibrated


def fit_calibration(risk: FloatArray, failed: BoolArray) -> Calibration:
    """The calibration that predictions of rows not learned from would have needed; identity if none fits."""
    if len(failed) == 0 or failed.all() or not failed.any():
        return Calibration()
    regression = LogisticRegression(C=1e6, max_iter=1000).fit(logit(risk)[:, None], failed)
    slope, intercept = float(regression.coef_[0, 0]), float(regression.intercept_[0])
    return Calibration(slope, intercept) if slope > 0 else Calibration()
