"""Figures of merit for risks at a horizon, each as one value per resample of the vehicles.

Arrays of results have shape (resamples + 1,), the sample itself first (`ml.bootstrap`).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ml.bootstrap import ClusterBootstrap
from ml.days import FloatArray
from ml.person_period import BoolArray

Metric = Callable[[ClusterBootstrap, FloatArray, BoolArray], FloatArray]
"""Risks or scores and outcomes of the rows to one value per resample."""

FLOOR = 1e-6
"""Risks are kept this far from 0 and 1, so that one sure mistake does not decide a log-loss."""
ALERT_SHARE = 0.02
"""The alert budget: one vehicle in fifty."""


def losses(risk: FloatArray, failed: BoolArray) -> FloatArray:
    """Log-loss of each row in nats."""
    inside = np.clip(risk, FLOOR, 1 - FLOOR)
    return -np.where(failed, np.log(inside), np.log1p(-inside))


def log_loss(bootstrap: ClusterBootstrap, risk: FloatArray, failed: BoolArray) -> FloatArray:
    """Mean log-loss in nats per row."""
    return _ratio(bootstrap.sums(losses(risk, failed)), bootstrap.sums(np.ones(len(risk))))


def prevalence_log_loss(bootstrap: ClusterBootstrap, failed: BoolArray) -> FloatArray:
    """Log-loss of the best constant: the share of failures in the very resample."""
    share = _ratio(bootstrap.sums(failed.astype(np.float64)), bootstrap.sums(np.ones(len(failed))))
    inside = np.clip(share, FLOOR, 1 - FLOOR)
    return -(inside * np.log(inside) + (1 - inside) * np.log1p(-inside))


def information_fraction(
    bootstrap: ClusterBootstrap, risk: FloatArray, oracle_risk: FloatArray, failed: BoolArray
) -> FloatArray:
    """(LL_prevalence - LL_model) / (LL_prevalence - LL_oracle): 0 knows the share, 1 knows the truth."""
    constant = prevalence_log_loss(bootstrap, failed)
    gained = constant - log_loss(bootstrap, risk, failed)
    return _ratio(gained, constant - log_loss(bootstrap, oracle_risk, failed))


def observed_over_expected(bootstrap: ClusterBootstrap, risk: FloatArray, failed: BoolArray) -> FloatArray:
    """Failures seen over failures predicted; 1 is calibrated in the large."""
    return _ratio(bootstrap.sums(failed.astype(np.float64)), bootstrap.sums(risk))


def calibration_error(
    bootstrap: ClusterBootstrap, risk: FloatArray, failed: BoolArray, bins: int = 10
) -> FloatArray:
    """Expected calibration error over bins of equal size: mean distance of predicted and observed shares."""
    bin_of = quantile_bins(risk, bins)
    distance = np.zeros(len(bootstrap.weights))
    for index in range(bins):
        inside = (bin_of == index).astype(np.float64)
        distance += np.abs(bootstrap.sums(inside * (failed - risk)))
    return _ratio(distance, bootstrap.sums(np.ones(len(risk))))


def average_precision(bootstrap: ClusterBootstrap, score: FloatArray, failed: BoolArray) -> FloatArray:
    """Area under the precision-recall steps; equal scores count as one step."""
    order = np.argsort(-score, kind="stable")
    hits = failed[order].astype(np.float64)
    last_of_tie = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    results = []
    for weights in bootstrap.row_weights(order):
        found = np.cumsum(weights * hits, axis=1)[:, last_of_tie]
        alerted = np.cumsum(weights, axis=1)[:, last_of_tie]
        steps = np.diff(found, axis=1, prepend=0.0)
        precision = found / np.maximum(alerted, 1e-12)
        results.append(_ratio((precision * steps).sum(axis=1), found[:, -1]))
    return np.concatenate(results)


def recall_at(
    bootstrap: ClusterBootstrap, score: FloatArray, failed: BoolArray, share: float = ALERT_SHARE
) -> FloatArray:
    """Share of the failing rows among the `share` of rows with the highest scores."""
    order = np.argsort(-score, kind="stable")
    hits = failed[order].astype(np.float64)
    results = []
    for weights in bootstrap.row_weights(order):
        total = weights.sum(axis=1, keepdims=True)
        is_alerted = np.cumsum(weights, axis=1) <= share * total
        weighted = weights * hits
        results.append(_ratio((weighted * is_alerted).sum(axis=1), weighted.sum(axis=1)))
    return np.concatenate(results)


def roc_area(score: FloatArray, failed: BoolArray) -> float:
    """Probability that a failing row ranks above a surviving one; NaN without both."""
    positives = int(failed.sum())
    negatives = len(failed) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(middle_ranks[inverse][failed].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def quantile_bins(values: FloatArray, bins: int) -> npt.NDArray[np.int64]:
    """The bin of each value, 0 to bins - 1, by rank and hence of about equal size."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks * bins // max(len(values), 1)


def variance_bins(risk: FloatArray, bins: int) -> npt.NDArray[np.int64]:
    """The bin of each risk, 0 to bins - 1, by rank; each holds the same share of the sum of p (1 - p)."""
    order = np.argsort(risk, kind="stable")
    variance = np.cumsum((risk * (1 - risk))[order])
    if len(risk) == 0 or variance[-1] <= 0:
        return np.zeros(len(risk), dtype=np.int64)
    bin_of = np.empty(len(risk), dtype=np.int64)
    bin_of[order] = np.minimum((variance / variance[-1] * bins).astype(np.int64), bins - 1)
    return bin_of


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(denominator == 0, np.nan, numerator / denominator), dtype=np.float64)
