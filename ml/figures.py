"""The figures of an evaluation, by name, each with one value per resample of the vehicles."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from ml import metrics
from ml.bootstrap import ClusterBootstrap
from ml.days import FloatArray
from ml.oracle import Oracle
from ml.person_period import BoolArray
from ml.survival import LONG_DAYS, SHORT_DAYS

Values = dict[str, FloatArray]

ORACLE_FIGURES: Final = (
    "information_fraction",
    "oracle_log_loss",
    "oracle_oe_ratio",
    "oracle_average_precision",
    "oracle_recall_at_2pct",
    "true_log_loss",
    "true_oe_ratio",
    "true_average_precision",
    "true_recall_at_2pct",
)
"""Per horizon, on true failures: of the oracle (`oracle_`) and of the model (`true_`)."""


@dataclass(frozen=True, slots=True)
class HorizonRows:
    """Predictions and outcomes of the judged rows at one horizon; arrays of one length.

    Attributes:
        risk: of the model.
        km_risk: of the Kaplan–Meier baseline.
        rule_risk: of the calibrated crank-voltage rule.
        rule_score: the rule's ranking.
        failed: outcome.
        is_known: whether the outcome is known; others do not count.
    """

    risk: FloatArray
    km_risk: FloatArray
    rule_risk: FloatArray
    rule_score: FloatArray
    failed: BoolArray
    is_known: BoolArray


def compare(bootstrap: ClusterBootstrap, rows: dict[int, HorizonRows]) -> Values:
    """The model beside the baselines; figures without a number in their name are those at 90 days.

    A difference of log-losses is model minus baseline: negative is better.
    """
    values: Values = {}
    for days, at in rows.items():
        model = _loss(bootstrap, at.risk, at)
        precision = _weighted(metrics.average_precision, bootstrap, at.risk, at)
        rule_precision = _weighted(metrics.average_precision, bootstrap, at.rule_score, at)
        named = {
            "log_loss": model,
            "log_loss_vs_km": model - _loss(bootstrap, at.km_risk, at),
            "log_loss_vs_rule": model - _loss(bootstrap, at.rule_risk, at),
            "oe_ratio": _weighted(metrics.observed_over_expected, bootstrap, at.risk, at),
            "ece": _weighted(metrics.calibration_error, bootstrap, at.risk, at),
            "average_precision": precision,
            "average_precision_rule": rule_precision,
            "average_precision_vs_rule": precision / np.where(rule_precision == 0, np.nan, rule_precision),
            "recall_at_2pct": _weighted(metrics.recall_at, bootstrap, at.risk, at),
            "recall_at_2pct_rule": _weighted(metrics.recall_at, bootstrap, at.rule_score, at),
        }
        values |= {f"{name}_{days}": figure for name, figure in named.items()}
    for name in ("log_loss_vs_km", "log_loss_vs_rule", "oe_ratio", "average_precision_vs_rule"):
        values[name] = values.pop(f"{name}_{LONG_DAYS}")
    for days, at in rows.items():
        area = metrics.roc_area(at.risk[at.is_known], at.failed[at.is_known])
        values[f"roc_area_{days}"] = np.array([area])
    return values


def calibration_figure(
    bootstrap: ClusterBootstrap, raw: dict[int, HorizonRows], tuned: dict[int, HorizonRows]
) -> FloatArray:
    """Log-loss of the calibrated minus the raw risks, mean of both horizons; negative is better."""
    differences = [
        _loss(bootstrap, tuned[days].risk, tuned[days]) - _loss(bootstrap, at.risk, at)
        for days, at in raw.items()
    ]
    return np.asarray(np.mean(differences, axis=0), dtype=np.float64)


def compare_with_oracle(
    bootstrap: ClusterBootstrap,
    rows: dict[int, HorizonRows],
    judged: pd.DataFrame,
    oracle: Oracle | None,
    horizons: tuple[int, ...] = (SHORT_DAYS, LONG_DAYS),
) -> Values:
    """How much of the oracle's information the model recovers, and the oracle's own figures.

    Outcomes here are true failures, recorded or not, of components that were alive at the landmark.
    NaN without an oracle.
    """
    values: Values = {}
    for days in horizons:
        if oracle is None:
            values |= {f"{name}_{days}": np.array([np.nan]) for name in ORACLE_FIGURES}
            continue
        truth = oracle.risks(judged, days)
        failed, is_alive = oracle.outcomes(judged, days)
        used = rows[days].is_known & is_alive & ~np.isnan(truth)
        drawn, risk, truth, failed = bootstrap.only(used), rows[days].risk[used], truth[used], failed[used]
        results = (
            metrics.information_fraction(drawn, risk, truth, failed),
            metrics.log_loss(drawn, truth, failed),
            metrics.observed_over_expected(drawn, truth, failed),
            metrics.average_precision(drawn, truth, failed),
            metrics.recall_at(drawn, truth, failed),
            metrics.log_loss(drawn, risk, failed),
            metrics.observed_over_expected(drawn, risk, failed),
            metrics.average_precision(drawn, risk, failed),
            metrics.recall_at(drawn, risk, failed),
        )
        named = zip(ORACLE_FIGURES, results, strict=True)
        values |= {f"{name}_{days}": figure for name, figure in named}
    return values


def _loss(bootstrap: ClusterBootstrap, risk: FloatArray, at: HorizonRows) -> FloatArray:
    return _weighted(metrics.log_loss, bootstrap, risk, at)


def _weighted(
    metric: metrics.Metric, bootstrap: ClusterBootstrap, values: FloatArray, at: HorizonRows
) -> FloatArray:
    used = at.is_known
    return metric(bootstrap.only(used), values[used], at.failed[used])
