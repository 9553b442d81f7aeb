"""What a model must beat: a Kaplan–Meier curve of all landmarks, and the workshop's crank-voltage rule."""

from typing import Self

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from ml.days import FloatArray
from ml.person_period import BoolArray, Labels
from ml.survival import kaplan_meier

CRANK_COLUMN = "crank_min_v_28d"


class KaplanMeierBaseline:
    """One survival curve for every landmark, whatever the signals say."""

    labels_: Labels

    def fit(self, labels: Labels) -> Self:
        """Keep what happened after the training landmarks."""
        self.labels_ = labels
        return self

    def risk(self, count: int, days: float) -> FloatArray:
        """P(T <= days), the same for each of `count` rows."""
        curve = kaplan_meier(self.labels_.duration_days, self.labels_.is_event, [days])
        return np.full(count, 1.0 - curve[0])


class CrankVoltageRule:
    """The lower the lowest crank voltage of 28 days, the sooner it fails.

    As a ranking it is the negative voltage. For a log-loss it is calibrated by a logistic regression of
    the outcome on the voltage, with an indicator for vehicles that report none.
    """

    typical_v_: float
    regression_: LogisticRegression | None
    prevalence_: float

    def fit(self, frame: pd.DataFrame, failed: BoolArray) -> Self:
        """Learn from landmarks whose outcome at the horizon is known."""
        volts = frame[CRANK_COLUMN].to_numpy(dtype=np.float64)
        seen = volts[~np.isnan(volts)]
        self.typical_v_ = float(np.median(seen)) if len(seen) else 0.0
        self.prevalence_ = float(failed.mean()) if len(failed) else 0.0
        self.regression_ = None
        if failed.any() and not failed.all():
            self.regression_ = LogisticRegression(C=1e6, max_iter=1000).fit(self._columns(frame), failed)
        return self

    def score(self, frame: pd.DataFrame) -> FloatArray:
        """The ranking: negative volts; a vehicle without a crank ranks as the typical one."""
        return -self._columns(frame)[:, 0] - self.typical_v_

    def risk(self, frame: pd.DataFrame) -> FloatArray:
        """P(T <= horizon) of each row."""
        if self.regression_ is None:
            return np.full(len(frame), self.prevalence_)
        return np.asarray(self.regression_.predict_proba(self._columns(frame))[:, 1], dtype=np.float64)

    def _columns(self, frame: pd.DataFrame) -> FloatArray:
        volts = frame[CRANK_COLUMN].to_numpy(dtype=np.float64)
        is_missing = np.isnan(volts)
        return np.column_stack([np.where(is_missing, 0.0, volts - self.typical_v_), is_missing])
