"""The final model: fixed settings, all vehicles, everything known."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ml.dataset import TrainingSet
from ml.errors import LeakageError
from ml.evaluation import Evaluation
from ml.features import BATTERY_FEATURES
from ml.fitted import FittedModel
from ml.hazard import HazardModel
from ml.reference import FleetReference

UNSAVED = "candidate"
GOLDEN_ROWS = 64
"""Rows kept with the model; their curves are computed again whenever it is loaded."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model before it is stored, with all that tells where it came from.

    Attributes:
        model: ready to predict.
        evaluation: by which the gate judges it.
        data_manifest: what it learned from and what was left out.
        golden: feature rows without vehicles' names (`as_of` and BATTERY_FEATURES).
        seed: of the model.
    """

    model: FittedModel
    evaluation: Evaluation
    data_manifest: dict[str, Any]
    golden: pd.DataFrame
    seed: int


def train(training_set: TrainingSet, evaluation: Evaluation, *, seed: int) -> Candidate:
    """Fit on every landmark of the set, with the evaluation's settings and calibration.

    Raises:
        LeakageError: the evaluation judged another training set than this.
        TooFewFailuresError: too few failures to learn from.
    """
    if evaluation.data_hash != training_set.content_hash:
        message = (
            "the evaluation belongs to another training set "
            f"({evaluation.data_hash[:12]}, not {training_set.content_hash[:12]}): evaluate this one first"
        )
        raise LeakageError(message)
    landmarks = training_set.landmarks
    hazard = HazardModel(evaluation.settings, random_state=seed).fit(landmarks, training_set.labels)
    trained_on = training_set.trained_on()
    model = FittedModel(
        component=training_set.component,
        model_id=UNSAVED,
        hazard=hazard,
        calibration=evaluation.calibration,
        reference=FleetReference.of(landmarks, BATTERY_FEATURES),
        trained_on=trained_on,
    )
    golden = landmarks.sample(min(GOLDEN_ROWS, len(landmarks)), random_state=seed)
    return Candidate(
        model=model,
        evaluation=evaluation,
        data_manifest={
            **trained_on,
            "step_days": training_set.step_days,
            "maturity_days": training_set.maturity_days,
            "left_out": training_set.left_out,
        },
        golden=golden[["as_of", *BATTERY_FEATURES]].reset_index(drop=True),
        seed=seed,
    )
