"""Judging: every vehicle is held out once, by models that never saw it nor its time.

`evaluate` trains one model per fold on what was known before the cutoff, predicts the held-out vehicles'
later landmarks, and compares with the baselines on the same rows, and with the oracle where there is one.
Only rows with enough data for a prediction are judged (`ml.sufficiency`): the others get none.
"""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from ml.baselines import CrankVoltageRule, KaplanMeierBaseline
from ml.bootstrap import ClusterBootstrap, Figure, summarize
from ml.calibration import Calibration, fit_calibration
from ml.dataset import TrainingSet
from ml.days import FloatArray, epoch_days, to_epoch_day
from ml.errors import TooFewFailuresError
from ml.figures import HorizonRows, calibration_figure, compare, compare_with_oracle
from ml.hazard import HazardModel, HazardSettings
from ml.oracle import Oracle
from ml.person_period import Labels
from ml.splits import Split, default_cutoff, splits
from ml.sufficiency import is_sufficient
from ml.survival import LONG_DAYS, SHORT_DAYS, risk_at
from ml.tables import lift_table, reliability_table, slice_table, survival_table
from ml.threads import map_in_parallel

HORIZONS: Final = (SHORT_DAYS, LONG_DAYS)
FOLDS: Final = 4
RESAMPLES: Final = 500


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures and tables of one evaluation.

    Attributes:
        component: what fails.
        cutoff: first judged day; nothing from it or later was learned from.
        data_until: last day of the data.
        folds: number of vehicle folds.
        seed: of folds, models and resamples.
        resamples: of the vehicles, for the intervals.
        settings: of the hazard.
        row_count: judged landmarks.
        vehicle_count: judged vehicles.
        failure_count: distinct failures within 90 days of a judged landmark.
        left_out: landmarks from the cutoff on that were not judged, by reason.
        figures: by name, each with its interval; NaN where it does not exist (no oracle).
        calibration: what the final model applies; the identity unless held-out log-loss improves.
        reliability: `claim` ('risk_30', 'risk_90', 'confidence'), `predicted`, `observed`, `low`, `high`,
            `row_count`, `failure_count`.
        lift: `share` of rows alerted, share of failures found within 90 days by `model`, `rule`, `oracle`.
        survival: `decile` of the 90 day risk (1 = lowest), `day`, `observed` (Kaplan–Meier), `predicted`.
        slices: `slice`, `value`, `failure_count`, `oe_ratio`, `low`, `high` at 90 days.
        data_hash: of the training set.
    """

    component: str
    cutoff: date
    data_until: date
    folds: int
    seed: int
    resamples: int
    settings: HazardSettings
    row_count: int
    vehicle_count: int
    failure_count: int
    left_out: dict[str, int]
    figures: dict[str, Figure]
    calibration: Calibration
    reliability: pd.DataFrame
    lift: pd.DataFrame
    survival: pd.DataFrame
    slices: pd.DataFrame
    data_hash: str

    def as_document(self) -> dict[str, Any]:
        """Everything as plain JSON values; what is not defined is null."""
        document = {
            "component": self.component,
            "cutoff": self.cutoff.isoformat(),
            "data_until": self.data_until.isoformat(),
            "folds": self.folds,
            "seed": self.seed,
            "resamples": self.resamples,
            "settings": asdict(self.settings),
            "row_count": self.row_count,
            "vehicle_count": self.vehicle_count,
            "failure_count": self.failure_count,
            "left_out": self.left_out,
            "figures": {name: _plain(asdict(figure)) for name, figure in self.figures.items()},
            "calibration": asdict(self.calibration),
            "data_hash": self.data_hash,
        }
        for name in ("reliability", "lift", "survival", "slices"):
            rows: list[dict[str, Any]] = getattr(self, name).to_dict("records")
            document[name] = [_plain(row) for row in rows]
        return document


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in values.items()
    }


def evaluate(
    training_set: TrainingSet,
    *,
    oracle: Oracle | None = None,
    folds: int = FOLDS,
    cutoff: date | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    settings: HazardSettings = HazardSettings(),  # noqa: B008  frozen, so sharing it is safe
) -> Evaluation:
    """Judge the model that `ml.training.train` would make of this set.

    Args:
        training_set: all that is known.
        oracle: the simulator's truth; adds the information fractions and the oracle's own figures.
        folds: vehicle folds; each vehicle is held out once.
        cutoff: first judged day; by default 180 days of landmarks with known outcomes are judged.
        seed: of folds, models and resamples.
        resamples: of the vehicles, for the intervals.
        settings: of the hazard.

    Raises:
        TooFewFailuresError: the history is too short, or no failure is there to learn from or to judge by.
        LeakageError: a split shares a vehicle or a time (checked, never expected).
    """
    first_judged = cutoff or default_cutoff(training_set, LONG_DAYS)
    past = training_set.as_known_at(first_judged - timedelta(days=1))
    judged, left_out = _judged_rows(training_set, first_judged)
    held_out = _cross_fit(past, judged, first_judged, folds, seed, settings)
    labels = _labels(judged)

    bootstrap = ClusterBootstrap(judged["vin"], resamples=resamples, seed=seed)
    raw = {days: _horizon_rows(held_out, labels, days, Calibration()) for days in HORIZONS}
    tuned = {days: _horizon_rows(held_out, labels, days, held_out.calibration) for days in HORIZONS}
    improvement = summarize(calibration_figure(bootstrap, raw, tuned))
    is_calibrated = improvement.high < 0
    calibration = held_out.calibration if is_calibrated else Calibration()
    rows = tuned if is_calibrated else raw

    figures = {"log_loss_calibrated_vs_raw": improvement}
    figures |= {name: summarize(values) for name, values in compare(bootstrap, rows).items()}
    truths = {
        name: summarize(values)
        for name, values in compare_with_oracle(bootstrap, rows, judged, oracle, HORIZONS).items()
    }
    curves = calibration.curves(held_out.curves)
    long = rows[LONG_DAYS]
    failed = long.failed & (labels.exposure_days >= LONG_DAYS)
    return Evaluation(
        component=training_set.component,
        cutoff=first_judged,
        data_until=training_set.data_until,
        folds=folds,
        seed=seed,
        resamples=resamples,
        settings=settings,
        row_count=len(judged),
        vehicle_count=int(judged["vin"].nunique()),
        failure_count=_distinct_failures(judged[failed]),
        left_out=left_out,
        figures=figures | truths,
        calibration=calibration,
        reliability=reliability_table(bootstrap, rows[SHORT_DAYS], long, labels),
        lift=lift_table(long, oracle.risks(judged, LONG_DAYS) if oracle else None),
        survival=survival_table(curves, labels),
        slices=slice_table(bootstrap, long, judged),
        data_hash=training_set.content_hash,
    )


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Predictions of the judged rows by models that never saw them; `{horizon: risks}` of the baselines."""

    curves: FloatArray
    km: dict[int, FloatArray]
    rule: dict[int, FloatArray]
    rule_score: FloatArray
    calibration: Calibration


def _judged_rows(training_set: TrainingSet, cutoff: date) -> tuple[pd.DataFrame, dict[str, int]]:
    landmarks = training_set.landmarks
    is_later = epoch_days(landmarks["as_of"]) >= to_epoch_day(cutoff)
    is_known = (landmarks["exposure_days"] >= LONG_DAYS).to_numpy()
    has_data = is_sufficient(landmarks)
    judged = landmarks[is_later & is_known & has_data].reset_index(drop=True)
    if judged.empty:
        message = (
            f"no landmark from {cutoff} on has both enough data and an outcome known after {LONG_DAYS} days: "
            "choose an earlier cutoff or load a longer history"
        )
        raise TooFewFailuresError(message)
    return judged, {
        "outcome_not_yet_known": int((is_later & ~is_known).sum()),
        "not_enough_data_to_predict": int((is_later & is_known & ~has_data).sum()),
        "replaced_preventively_within_90_days": int((~_labels(judged).outcome(LONG_DAYS)[1]).sum()),
    }


def _cross_fit(
    past: TrainingSet, judged: pd.DataFrame, cutoff: date, folds: int, seed: int, settings: HazardSettings
) -> _HeldOut:
    count = len(judged)
    curves = np.ones((count, len(HazardModel().edges)))
    km = {days: np.zeros(count) for days in HORIZONS}
    rule = {days: np.zeros(count) for days in HORIZONS}
    earlier = {days: np.full(len(past.landmarks), np.nan) for days in HORIZONS}

    def fit(split: Split) -> HazardModel:
        frame, labels = past.landmarks[split.is_training], past.labels.take(split.is_training)
        return HazardModel(settings, random_state=seed).fit(frame, labels)

    parts = list(splits(past, judged, cutoff=cutoff, folds=folds, seed=seed))
    for split, model in zip(parts, map_in_parallel(fit, parts), strict=True):
        frame, labels = past.landmarks[split.is_training], past.labels.take(split.is_training)
        test = judged[split.is_test]
        baseline = KaplanMeierBaseline().fit(labels)
        curves[split.is_test] = model.survival(test)
        sibling_curves = model.survival(past.landmarks[~split.is_training])
        for days in HORIZONS:
            earlier[days][~split.is_training] = risk_at(sibling_curves, days)
            km[days][split.is_test] = baseline.risk(len(test), days)
            failed, known = labels.outcome(days)
            voltage = CrankVoltageRule().fit(frame[known], failed[known])
            rule[days][split.is_test] = voltage.risk(test)
    rule_score = CrankVoltageRule().fit(past.landmarks, past.labels.is_event).score(judged)
    return _HeldOut(curves, km, rule, rule_score, _earlier_calibration(past, earlier))


def _earlier_calibration(past: TrainingSet, earlier: dict[int, FloatArray]) -> Calibration:
    """From predictions of vehicles not learned from, on outcomes known before the cutoff."""
    risks, outcomes = [], []
    has_data = is_sufficient(past.landmarks)
    for days, risk in earlier.items():
        failed, known = past.labels.outcome(days)
        used = known & has_data
        risks.append(risk[used])
        outcomes.append(failed[used])
    return fit_calibration(np.concatenate(risks), np.concatenate(outcomes))


def _horizon_rows(held_out: _HeldOut, labels: Labels, days: int, calibration: Calibration) -> HorizonRows:
    failed, known = labels.outcome(days)
    return HorizonRows(
        risk=calibration.risk(risk_at(held_out.curves, days)),
        km_risk=held_out.km[days],
        rule_risk=held_out.rule[days],
        rule_score=held_out.rule_score,
        failed=failed,
        is_known=known,
    )


def _labels(frame: pd.DataFrame) -> Labels:
    return Labels(
        frame["duration_days"].to_numpy(dtype=np.float64),
        frame["is_event"].to_numpy(dtype=np.bool_),
        frame["exposure_days"].to_numpy(dtype=np.float64),
    )


def _distinct_failures(rows: pd.DataFrame) -> int:
    failed_on = epoch_days(rows["as_of"]) + rows["duration_days"].to_numpy(dtype=np.int64)
    return len(pd.DataFrame({"vin": rows["vin"], "failed_on": failed_on}).drop_duplicates())
