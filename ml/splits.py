"""Vehicle folds times later time: no vehicle and no day is shared between learning and judging.

Models learn from the other folds' vehicles, from what was known at the end of the day before `cutoff`;
a person-period row counts only if its interval ended `lag_days` before that, which is an embargo of
horizon + lag for every horizon at once. They are judged on the held-out fold's landmarks from `cutoff` on.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.dataset import TrainingSet
from ml.days import epoch_days, from_epoch_day, to_epoch_day
from ml.errors import LeakageError, TooFewFailuresError
from ml.person_period import BoolArray

TEST_DAYS = 180
"""Length of the judged period in days when no cutoff is given: half a year, a cold and a warm part."""
MIN_TRAINING_DAYS = 120
"""Shortest span of landmarks before the cutoff."""


def fold_of(vins: npt.ArrayLike, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each vehicle, 0 to folds - 1, by a hash of its VIN: other vehicles never change it."""
    salt = f"{seed}:".encode()
    codes, vehicles = pd.factorize(np.asarray(vins, dtype=object))
    drawn = [
        int.from_bytes(hashlib.blake2b(salt + str(vin).encode(), digest_size=8).digest()) % folds
        for vin in vehicles
    ]
    return np.asarray(np.take(drawn, codes), dtype=np.int64)


def default_cutoff(training_set: TrainingSet, horizon_days: int) -> date:
    """The first judged day: TEST_DAYS before the last landmark whose outcome at the horizon is known.

    Raises:
        TooFewFailuresError: fewer than MIN_TRAINING_DAYS would be left to learn from.
    """
    first = to_epoch_day(training_set.data_from)
    last = to_epoch_day(training_set.data_until) - training_set.maturity_days - horizon_days
    cutoff = last - TEST_DAYS
    if cutoff - training_set.maturity_days - first < MIN_TRAINING_DAYS:
        message = (
            f"the history from {training_set.data_from} to {training_set.data_until} is too short to learn "
            f"from one part and judge by a later one: it needs {MIN_TRAINING_DAYS} days of landmarks, "
            f"{TEST_DAYS} judged days, {horizon_days} days of outcomes and twice "
            f"{training_set.maturity_days} days for late records"
        )
        raise TooFewFailuresError(message)
    return from_epoch_day(cutoff)


@dataclass(frozen=True, slots=True)
class Split:
    """One fold: boolean masks over the rows of the past set and of the judged rows."""

    fold: int
    is_training: BoolArray
    is_test: BoolArray


def splits(
    past: TrainingSet, judged: pd.DataFrame, *, cutoff: date, folds: int, seed: int
) -> Iterator[Split]:
    """Each fold's rows to learn from and to judge by.

    Raises:
        LeakageError: a vehicle or a day stands on both sides; never expected, checked every time.
        TooFewFailuresError: a fold has nothing to learn from.
    """
    past_folds = fold_of(past.landmarks["vin"], folds, seed)
    judged_folds = fold_of(judged["vin"], folds, seed)
    for fold in range(folds):
        split = Split(fold, past_folds != fold, judged_folds == fold)
        if not split.is_training.any():
            message = f"fold {fold} leaves no vehicle to learn from: use more vehicles or fewer folds"
            raise TooFewFailuresError(message)
        assert_apart(past, judged, split, cutoff)
        yield split


def assert_apart(past: TrainingSet, judged: pd.DataFrame, split: Split, cutoff: date) -> None:
    """Refuse a split that shares a vehicle or a time.

    Raises:
        LeakageError: what was shared, counted.
    """
    learned = past.landmarks[split.is_training]
    held_out = judged[split.is_test]
    shared = len(set(learned["vin"]) & set(held_out["vin"]))
    last_learned = epoch_days(learned["as_of"]) + learned["exposure_days"].to_numpy(dtype=np.int64)
    limit = to_epoch_day(cutoff - timedelta(days=1)) - past.maturity_days
    late = int((last_learned > limit).sum())
    early = int((epoch_days(held_out["as_of"]) < to_epoch_day(cutoff)).sum())
    if shared or late or early:
        message = (
            f"the split leaks: {shared} vehicles on both sides, {late} training labels from after "
            f"{from_epoch_day(limit)}, {early} judged rows from before {cutoff}"
        )
        raise LeakageError(message)
