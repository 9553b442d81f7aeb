"""Person-period rows: what counts, and that the hazard they imply is the true one under censoring."""

import numpy as np
import pytest

from ml.person_period import Labels, expand
from ml.survival import EDGES


def make_labels(*rows: tuple[float, bool, float]) -> Labels:
    duration, event, exposure = zip(*rows, strict=True)
    return Labels(np.array(duration), np.array(event), np.array(exposure))


def test_a_failure_ends_the_rows_of_its_landmark() -> None:
    periods = expand(make_labels((20.0, True, 400.0)), EDGES)
    assert periods.interval.tolist() == [0, 1, 2]
    assert periods.is_event.tolist() == [False, False, True]


def test_a_failure_on_an_edge_belongs_to_the_interval_that_it_ends() -> None:
    periods = expand(make_labels((30.0, True, 400.0)), EDGES)
    assert periods.interval.tolist() == [0, 1, 2]
    assert periods.is_event[-1]


def test_an_interval_that_was_cut_off_counts_for_neither_survivors_nor_failures() -> None:
    cut_off = 80.0
    periods = expand(make_labels((70.0, True, cut_off), (cut_off, False, cut_off)), EDGES)
    assert periods.interval.max() == EDGES.index(60) - 1
    assert not periods.is_event.any()


def test_a_preventive_replacement_ends_the_watching_before_its_interval() -> None:
    periods = expand(make_labels((40.0, False, 400.0)), EDGES)
    assert periods.interval.tolist() == [0, 1, 2]
    assert not periods.is_event.any()


def test_an_outcome_is_unknown_when_the_watching_was_shorter() -> None:
    failed, known = make_labels((50.0, True, 60.0), (60.0, False, 60.0), (40.0, False, 200.0)).outcome(90)
    assert not known.any()
    failed, known = make_labels((50.0, True, 90.0), (90.0, False, 90.0)).outcome(90)
    assert known.all()
    assert failed.tolist() == [True, False]


def test_the_hazard_of_every_interval_is_unbiased_under_a_known_end_of_watching() -> None:
    rng = np.random.default_rng(3)
    rate = 1 / 200
    failure = rng.exponential(1 / rate, 200_000)
    exposure = rng.uniform(0, 500, len(failure))
    labels = Labels(np.minimum(failure, exposure), failure <= exposure, exposure)
    periods = expand(labels, EDGES)
    for interval in range(len(EDGES) - 1):
        seen = periods.is_event[periods.interval == interval].mean()
        assert seen == pytest.approx(1 - np.exp(-rate * (EDGES[interval + 1] - EDGES[interval])), rel=0.06)
