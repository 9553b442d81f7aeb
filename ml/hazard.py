"""The discrete-time hazard: one gradient-boosted classifier over person-period rows.

Every landmark is repeated for each interval in which it was watched, with the interval's number and the
season at its middle beside the features; the classifier learns the probability to fail in that interval.
The product over intervals is the survival curve, hence risk, dates and interval from one model
(`models.md` 1.6: Suresh 2022; Craig, Zhong and Tibshirani 2025; Moradian 2021).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from ml.days import FloatArray, epoch_days, season
from ml.errors import TooFewFailuresError
from ml.features import BATTERY_FEATURES, DIRECTIONS
from ml.person_period import IndexArray, Labels, PersonPeriods, expand
from ml.survival import EDGES, from_hazards
from ml.threads import one_thread

MIN_FAILURES = 10
"""Fewer failures than this in the person-period rows and nothing is fitted."""


NEWTON_STEPS = 12
"""Enough for a one-dimensional logistic shift to settle to the last digit."""


@dataclass(frozen=True, slots=True)
class HazardSettings:
    """Fixed settings of the classifier, without early stopping: the same data give the same model.

    Chosen on vehicles held out before the cutoff only (`docs/models.md`): a few hundred failures carry
    small trees, and splits over a quarter of the columns keep one noisy voltage from deciding alone.
    """

    max_iter: int = 200
    learning_rate: float = 0.06
    max_leaf_nodes: int = 4
    min_samples_leaf: int = 100
    l2_regularization: float = 5.0
    max_bins: int = 127
    max_features: float = 0.25
    is_monotonic: bool = True


class HazardModel:
    """Survival curves at fixed edges from features; scikit-learn manners.

    Args:
        settings: of the classifier.
        features: the columns read, in order.
        edges: of the intervals in the unit of the durations, from 0.
        directions: +1 or -1 for features with a monotonic effect on the hazard.
        is_seasonal: whether the season at each interval is a covariate; needs a column `as_of`.
        random_state: seed of the column sampling.
    """

    classifier_: HistGradientBoostingClassifier
    offsets_: FloatArray
    """Logit added to each interval's hazard, shape (intervals,)."""

    def __init__(
        self,
        settings: HazardSettings = HazardSettings(),
        *,
        features: tuple[str, ...] = BATTERY_FEATURES,
        edges: tuple[int, ...] = EDGES,
        directions: dict[str, int] | None = None,
        is_seasonal: bool = True,
        random_state: int = 0,
    ) -> None:
        self.settings = settings
        self.features = features
        self.edges = edges
        self.directions = DIRECTIONS if directions is None else directions
        self.is_seasonal = is_seasonal
        self.random_state = random_state

    def fit(self, frame: pd.DataFrame, labels: Labels) -> Self:
        """Learn from landmarks; a row of `frame` for each of the labels.

        Raises:
            TooFewFailuresError: fewer than MIN_FAILURES failures were watched.
        """
        periods = expand(labels, self.edges)
        failures = int(periods.is_event.sum())
        if failures < MIN_FAILURES:
            message = (
                f"{failures} landmarks with a failure are too few to learn from (at least {MIN_FAILURES}): "
                "load a longer history or more vehicles"
            )
            raise TooFewFailuresError(message)
        covariates = self._covariates(frame, periods.landmark, periods.interval)
        # scikit-learn cannot bin a column without a value, and draws 200,000 rows to find its bins: a column
        # known in fewer rows than a leaf holds is made constant, so that no split can use it
        is_blank = (~np.isnan(covariates)).sum(axis=0) < self.settings.min_samples_leaf
        covariates[:, is_blank] = 0.0
        with one_thread():
            self.classifier_ = HistGradientBoostingClassifier(
                **self._classifier_settings(), random_state=self.random_state
            ).fit(covariates, periods.is_event)
            fitted = np.asarray(self.classifier_.decision_function(covariates), dtype=np.float64)
        self.offsets_ = _offsets(fitted, periods, len(self.edges) - 1)
        return self

    def survival(self, frame: pd.DataFrame, *, until: int | None = None) -> FloatArray:
        """S at every edge for each row, shape (n, edges); never increasing.

        Args:
            frame: the features, and `as_of` if the model is seasonal.
            until: the last edge that is wanted; all by default.
        """
        rows = len(frame)
        intervals = len(self.edges) - 1 if until is None else self.edges.index(until)
        if rows == 0:
            return np.ones((0, intervals + 1))
        landmark = np.tile(np.arange(rows), intervals)
        interval = np.repeat(np.arange(intervals), rows)
        covariates = self._covariates(frame, landmark, interval)
        with one_thread():
            logits = np.asarray(self.classifier_.decision_function(covariates), dtype=np.float64)
        return from_hazards(_expit(logits.reshape(intervals, rows).T + self.offsets_[:intervals]))

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Columns that the classifier sees."""
        seasonal = ("interval_season_sin", "interval_season_cos") if self.is_seasonal else ()
        return (*self.features, "interval", *seasonal)

    def _covariates(self, frame: pd.DataFrame, landmark: IndexArray, interval: IndexArray) -> FloatArray:
        values = frame.loc[:, list(self.features)].to_numpy(dtype=np.float64)
        covariates = np.empty((len(landmark), len(self.covariate_names)))
        covariates[:, : len(self.features)] = values[landmark]
        covariates[:, len(self.features)] = interval
        if self.is_seasonal:
            edges = np.asarray(self.edges, dtype=np.float64)
            middles = (edges[:-1] + edges[1:]) / 2
            days = epoch_days(frame["as_of"])[landmark] + middles[interval]
            covariates[:, -2], covariates[:, -1] = season(days)
        return covariates

    def _classifier_settings(self) -> dict[str, Any]:
        settings = self.settings
        constraints = [self.directions.get(name, 0) for name in self.covariate_names]
        return {
            "max_iter": settings.max_iter,
            "learning_rate": settings.learning_rate,
            "max_leaf_nodes": settings.max_leaf_nodes,
            "min_samples_leaf": settings.min_samples_leaf,
            "l2_regularization": settings.l2_regularization,
            "max_bins": settings.max_bins,
            "max_features": settings.max_features,
            "early_stopping": False,
            "monotonic_cst": constraints if settings.is_monotonic else None,
        }


def _offsets(logits: FloatArray, periods: PersonPeriods, intervals: int) -> FloatArray:
    """The shift of each interval that makes its expected failures those that were seen.

    Boosting starts from one share for all intervals, and shrinkage stops short of what a 7-day and a
    115-day interval need: uncorrected, 30 day risks came out a seventh too high.
    """
    offsets = np.zeros(intervals)
    for interval in range(intervals):
        inside = periods.interval == interval
        failures = float(periods.is_event[inside].sum())
        if failures == 0:
            continue  # no failure seen is no proof of safety: the classifier's own answer stays
        for _ in range(NEWTON_STEPS):
            share = _expit(logits[inside] + offsets[interval])
            offsets[interval] -= (share.sum() - failures) / max(float((share * (1 - share)).sum()), 1e-9)
    return offsets


def _expit(logits: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)
