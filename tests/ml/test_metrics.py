"""Figures of merit beside scikit-learn's, and intervals that know about vehicles."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from ml import metrics
from ml.bootstrap import ClusterBootstrap, summarize

RNG = np.random.default_rng(11)
ROWS = 3000
RISK = RNG.beta(0.5, 6, ROWS).round(3)
FAILED = RNG.random(ROWS) < RISK
VINS = np.array([f"V{number // 10}" for number in range(ROWS)])


def make_bootstrap(resamples: int = 200) -> ClusterBootstrap:
    return ClusterBootstrap(VINS, resamples=resamples, seed=4)


def test_points_are_those_of_scikit_learn() -> None:
    drawn = make_bootstrap()
    inside = np.clip(RISK, metrics.FLOOR, 1 - metrics.FLOOR)
    assert metrics.log_loss(drawn, RISK, FAILED)[0] == pytest.approx(log_loss(FAILED, inside))
    expected = average_precision_score(FAILED, RISK)  # the scores have ties
    assert metrics.average_precision(drawn, RISK, FAILED)[0] == pytest.approx(expected)
    assert metrics.roc_area(RISK, FAILED) == pytest.approx(roc_auc_score(FAILED, RISK))


def test_a_resample_is_the_figure_of_the_drawn_vehicles() -> None:
    drawn = make_bootstrap(3)
    counts = drawn.weights[2].astype(int)
    repeated = np.repeat(np.arange(ROWS), counts[drawn.codes])
    expected = average_precision_score(FAILED[repeated], RISK[repeated])
    assert metrics.average_precision(drawn, RISK, FAILED)[2] == pytest.approx(expected)
    ratio = FAILED[repeated].sum() / RISK[repeated].sum()
    assert metrics.observed_over_expected(drawn, RISK, FAILED)[2] == pytest.approx(ratio)


def test_true_risks_are_calibrated_within_their_interval() -> None:
    figure = summarize(metrics.observed_over_expected(make_bootstrap(), RISK, FAILED))
    assert figure.low < 1 < figure.high
    doubled = summarize(metrics.observed_over_expected(make_bootstrap(), RISK * 2, FAILED))
    assert doubled.high < 0.7
    ece = metrics.calibration_error(make_bootstrap(), RISK, FAILED)[0]
    assert ece < metrics.calibration_error(make_bootstrap(), np.clip(RISK * 2, 0, 1), FAILED)[0]


def test_information_is_one_for_the_truth_and_nothing_for_the_share() -> None:
    drawn = make_bootstrap()
    assert metrics.information_fraction(drawn, RISK, RISK, FAILED) == pytest.approx(1.0)
    share = np.full(ROWS, FAILED.mean())
    assert metrics.information_fraction(drawn, share, RISK, FAILED)[0] == pytest.approx(0.0, abs=1e-9)


def test_recall_counts_within_the_alert_budget() -> None:
    failed = np.zeros(100, dtype=bool)
    failed[[0, 1, 50, 99]] = True
    drawn = ClusterBootstrap(np.arange(100), resamples=1, seed=0)
    assert metrics.recall_at(drawn, -np.arange(100.0), failed, 0.02)[0] == pytest.approx(0.5)


def test_intervals_widen_when_the_rows_of_a_vehicle_repeat_each_other() -> None:
    values = np.repeat(RNG.normal(size=300), 10)
    by_vehicle = ClusterBootstrap(np.repeat(np.arange(300), 10), resamples=500, seed=1)
    by_row = ClusterBootstrap(np.arange(3000), resamples=500, seed=1)
    wide, narrow = summarize(by_vehicle.sums(values) / 3000), summarize(by_row.sums(values) / 3000)
    assert wide.high - wide.low > 2.5 * (narrow.high - narrow.low)


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        values = np.random.default_rng(seed).normal(size=200)
        figure = summarize(ClusterBootstrap(np.arange(200), resamples=300, seed=seed).sums(values) / 200)
        covered += figure.low < 0 < figure.high
    assert 88 <= covered <= 99


def test_a_figure_without_failures_is_not_defined_rather_than_wrong() -> None:
    nobody = np.zeros(ROWS, dtype=bool)
    figure = summarize(metrics.average_precision(make_bootstrap(20), RISK, nobody))
    assert np.isnan(figure.point)
    assert np.isnan(figure.low)
    assert np.isnan(metrics.roc_area(RISK, nobody))


def test_bins_of_equal_variance_resolve_the_high_risks() -> None:
    bin_of = metrics.variance_bins(RISK, 8)
    variance = np.bincount(bin_of, weights=RISK * (1 - RISK), minlength=8)
    assert variance == pytest.approx(variance.mean(), rel=0.1)
    assert RISK[bin_of == 0].max() <= RISK[bin_of == 7].min()
    assert metrics.variance_bins(np.zeros(5), 8).tolist() == [0] * 5
