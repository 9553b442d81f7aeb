"""Leakage through a vehicle or through time is impossible: the split says so, and the check can fail."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from ml.dataset import TrainingSet
from ml.days import epoch_days, to_epoch_day
from ml.errors import LeakageError, TooFewFailuresError
from ml.person_period import expand
from ml.splits import Split, assert_apart, default_cutoff, fold_of, splits
from ml.survival import EDGES

FOLDS = 4


def test_no_vehicle_and_no_time_is_shared(training_set: TrainingSet) -> None:
    cutoff = default_cutoff(training_set, 90)
    past = training_set.as_known_at(cutoff - timedelta(days=1))
    later = training_set.landmarks[epoch_days(training_set.landmarks["as_of"]) >= to_epoch_day(cutoff)]
    held_out = 0
    for split in splits(past, later, cutoff=cutoff, folds=FOLDS, seed=1):
        learned, judged = past.landmarks[split.is_training], later[split.is_test]
        assert not set(learned["vin"]) & set(judged["vin"])
        periods = expand(past.labels.take(split.is_training), EDGES)
        ends = epoch_days(learned["as_of"])[periods.landmark] + np.array(EDGES)[periods.interval + 1]
        assert ends.max() <= to_epoch_day(cutoff) - 1 - past.maturity_days
        assert epoch_days(judged["as_of"]).min() >= to_epoch_day(cutoff)
        held_out += len(judged)
    assert held_out == len(later)


def test_a_split_that_leaks_is_refused(training_set: TrainingSet) -> None:
    cutoff = default_cutoff(training_set, 90)
    past = training_set.as_known_at(cutoff - timedelta(days=1))
    later = training_set.landmarks[epoch_days(training_set.landmarks["as_of"]) >= to_epoch_day(cutoff)]
    fair = next(splits(past, later, cutoff=cutoff, folds=FOLDS, seed=1))
    with pytest.raises(LeakageError, match="vehicles on both sides"):
        assert_apart(past, later, replace(fair, is_test=~fair.is_test), cutoff)
    with pytest.raises(LeakageError, match="training labels from after"):
        assert_apart(past, later, fair, cutoff - timedelta(days=20))
    everything = Split(0, fair.is_training, np.ones(len(training_set.landmarks), dtype=bool))
    with pytest.raises(LeakageError, match="judged rows from before"):
        assert_apart(past, training_set.landmarks, everything, cutoff)


def test_a_vehicle_keeps_its_fold_whoever_else_is_there() -> None:
    vins = [f"SYN{number:014d}" for number in range(2000)]
    folds = fold_of(vins, FOLDS, seed=1)
    assert fold_of(vins[1000:], FOLDS, seed=1).tolist() == folds[1000:].tolist()
    assert np.bincount(folds).min() > 400
    assert fold_of(vins, FOLDS, seed=2).tolist() != folds.tolist()


def test_a_history_too_short_to_judge_by_is_refused(training_set: TrainingSet) -> None:
    short = training_set.as_known_at(training_set.data_from + timedelta(days=300))
    with pytest.raises(TooFewFailuresError, match="too short"):
        default_cutoff(short, 90)
