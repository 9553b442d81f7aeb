"""The evaluation finds what is known of the synthetic fleet, and the gate refuses what knows nothing."""

import json
import time
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ml.bootstrap import ClusterBootstrap, summarize
from ml.calibration import Calibration, fit_calibration
from ml.claims import HIGH_THRESHOLD, MEDIUM_THRESHOLD, RiskLevel, confidences, risk_levels
from ml.dataset import TrainingSet, build_training_set, shuffle_labels
from ml.days import epoch_days
from ml.errors import TooFewFailuresError
from ml.evaluation import Evaluation, evaluate
from ml.gate import is_passed, judge
from ml.metrics import observed_over_expected
from ml.oracle import Oracle
from ml.survival import EDGES
from tests.ml.fleet import QUICK, Fleet, make_fleet, make_rows

PROMISED = (
    "log_loss_vs_km", "log_loss_vs_rule", "information_fraction_30", "information_fraction_90",
    "oe_ratio", "oe_ratio_30", "average_precision_vs_rule",
)  # fmt: skip


def test_the_oracle_is_calibrated_on_the_fleet_that_it_made(fleet: Fleet, training_set: TrainingSet) -> None:
    rows = training_set.landmarks[training_set.landmarks["exposure_days"] >= 90].reset_index(drop=True)
    failed, alive = fleet.oracle.outcomes(rows, 90)
    drawn = ClusterBootstrap(rows["vin"][alive], resamples=200, seed=0)
    figure = summarize(observed_over_expected(drawn, fleet.oracle.risks(rows, 90)[alive], failed[alive]))
    assert figure.low < 1 < figure.high


def test_the_model_recovers_most_of_the_information_and_never_more_than_all(evaluation: Evaluation) -> None:
    for horizon in (30, 90):
        figure = evaluation.figures[f"information_fraction_{horizon}"]
        assert figure.low < figure.point < figure.high
        assert 0.5 < figure.point < 1.0
    assert evaluation.figures["oracle_log_loss_90"].point < evaluation.figures["true_log_loss_90"].point


def test_every_promised_figure_has_its_interval(evaluation: Evaluation) -> None:
    for name in PROMISED:
        figure = evaluation.figures[name]
        assert figure.low <= figure.point <= figure.high, name
    assert evaluation.figures["oe_ratio"].low < 1.1
    assert evaluation.figures["oe_ratio"].high > 0.9


def test_a_model_that_knows_the_wear_beats_both_baselines(evaluation: Evaluation) -> None:
    verdicts = {verdict.name: verdict for verdict in judge(evaluation)}
    for name in ("enough_failures", "log_loss_vs_km", "log_loss_vs_rule", "average_precision_vs_rule"):
        assert verdicts[name].passed, verdicts[name].sentence


def test_shuffled_labels_fail_the_gate(training_set: TrainingSet) -> None:
    canary = evaluate(shuffle_labels(training_set, seed=8), settings=QUICK)
    verdicts = {verdict.name: verdict for verdict in judge(canary)}
    assert not is_passed(tuple(verdicts.values()))
    assert not verdicts["log_loss_vs_km"].passed
    assert not verdicts["average_precision_vs_rule"].passed


def test_without_an_oracle_the_fractions_are_null_and_the_rest_stands(
    training_set: TrainingSet, evaluation: Evaluation
) -> None:
    alone = evaluate(training_set, settings=QUICK)
    document = alone.as_document()
    assert document["figures"]["information_fraction_90"] == {"point": None, "low": None, "high": None}
    assert alone.figures["oe_ratio"] == evaluation.figures["oe_ratio"]
    json.dumps(document, allow_nan=False)


def test_judging_starts_where_learning_ended(evaluation: Evaluation, training_set: TrainingSet) -> None:
    rows = training_set.landmarks
    judged = (epoch_days(rows["as_of"]) >= (evaluation.cutoff - date(1970, 1, 1)).days) & (
        rows["exposure_days"] >= 90
    )
    assert evaluation.row_count == int(judged.sum())  # every car of this fleet has enough data
    assert sum(evaluation.left_out.values()) > 0


def test_cars_without_enough_data_are_not_judged(fleet: Fleet) -> None:
    features = fleet.features.copy()
    sparse = features["vin"] < features["vin"].unique()[200]
    features.loc[sparse, "valid_days_28d"] = 2.0
    built = build_training_set(features, fleet.records, data_until=fleet.data_until)
    judged = evaluate(built, settings=QUICK, resamples=50)
    assert judged.vehicle_count == 200
    assert judged.left_out["not_enough_data_to_predict"] > 1000


def test_a_cutoff_after_the_data_is_refused(training_set: TrainingSet) -> None:
    with pytest.raises(TooFewFailuresError, match="choose an earlier cutoff"):
        evaluate(training_set, cutoff=training_set.data_until, settings=QUICK)


def test_tables_hold_what_the_charts_need(evaluation: Evaluation) -> None:
    assert set(evaluation.reliability["claim"]) == {"risk_30", "risk_90", "confidence"}
    assert evaluation.lift["model"].is_monotonic_increasing
    assert evaluation.lift["model"].iloc[-1] == 1.0
    assert {"oracle", "rule"} <= set(evaluation.lift.columns)
    top = evaluation.survival[evaluation.survival["decile"] == 10]
    low = evaluation.survival[evaluation.survival["decile"] == 1]
    assert top["observed"].iloc[-1] < low["observed"].iloc[-1]
    assert evaluation.slices["oe_ratio"].between(0.2, 3).all()


def test_the_confidence_is_a_probability_of_the_claim(evaluation: Evaluation) -> None:
    table = evaluation.reliability[evaluation.reliability["claim"] == "confidence"]
    off = (table["predicted"] < table["low"] - 0.05) | (table["predicted"] > table["high"] + 0.05)
    assert off.sum() <= 1


def test_claims_follow_the_costs() -> None:
    short = np.array([HIGH_THRESHOLD, 0.05, 0.01])
    long = np.array([0.5, MEDIUM_THRESHOLD, 0.02])
    assert risk_levels(short, long) == [RiskLevel.HIGH, RiskLevel.MEDIUM, RiskLevel.LOW]
    assert confidences(short, long) == pytest.approx([HIGH_THRESHOLD, MEDIUM_THRESHOLD, 0.98])


def test_calibration_undoes_a_known_distortion_and_keeps_curves_curves() -> None:
    rng = np.random.default_rng(2)
    truth = rng.beta(0.6, 5, 40_000)
    distorted = Calibration(slope=0.6, intercept=0.4).risk(truth)
    fitted = fit_calibration(distorted, rng.random(len(truth)) < truth)
    assert fitted.slope == pytest.approx(1 / 0.6, rel=0.05)
    curves = fitted.curves(np.array([[1.0, 0.9, 0.5, 0.1]]))
    assert curves[0, 0] == 1.0
    assert (np.diff(curves) <= 0).all()
    assert Calibration().is_identity
    assert fit_calibration(distorted[:5], np.zeros(5, dtype=bool)).is_identity


def test_the_oracle_knows_who_stands_still_and_who_is_unknown() -> None:
    fleet = make_fleet(60, 400, seed=4)
    failure = fleet.oracle.failures.iloc[0]
    standing = replace(fleet.oracle, failures=fleet.oracle.failures.assign(replaced_on=date(2030, 1, 1)))
    rows = make_rows(2, as_of=failure["failed_on"]).assign(vin=[failure["vin"], "SYN99999999999999"])
    failed, alive = standing.outcomes(rows, 90)
    assert alive.tolist() == [False, True]
    assert not failed[1]
    assert np.isnan(fleet.oracle.risks(rows, 90)[1])
    earlier = rows.assign(
        as_of=failure["failed_on"] - np.timedelta64(10, "D").astype("timedelta64[D]").item()
    )
    failed, alive = Oracle(fleet.oracle.days, fleet.oracle.failures).outcomes(earlier, 30)
    assert failed[0]
    assert alive[0]


@pytest.mark.slow
def test_a_thousand_cars_are_judged_and_learned_within_a_minute_of_processor_time() -> None:
    fleet = make_fleet(1000, seed=9)
    built = build_training_set(fleet.features, fleet.records, data_until=fleet.data_until)
    started = time.process_time()
    judged = evaluate(built, oracle=fleet.oracle)
    assert time.process_time() - started < 60
    assert len(EDGES) == 9
    assert judged.figures["information_fraction_90"].point > 0.6
