"""A model that predicts: hazard, calibration and the fleet it compares with."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ml.calibration import Calibration
from ml.days import FloatArray
from ml.hazard import HazardModel
from ml.reference import FleetReference
from ml.survival import LONG_DAYS


@dataclass(frozen=True, slots=True)
class FittedModel:
    """Everything that scoring needs.

    Attributes:
        component: what fails.
        model_id: the registry's name of it; 'candidate' before it is saved.
        hazard: raw curves.
        calibration: of the curves, the identity unless it improved held-out log-loss.
        reference: the training fleet.
        trained_on: what every prediction says of the data (`TrainingSet.trained_on`).
    """

    component: str
    model_id: str
    hazard: HazardModel
    calibration: Calibration
    reference: FleetReference
    trained_on: dict[str, Any]

    def survival(self, frame: pd.DataFrame) -> FloatArray:
        """S at every edge for each row, shape (n, edges)."""
        return self.calibration.curves(self.hazard.survival(frame))

    def long_risk(self, frame: pd.DataFrame) -> FloatArray:
        """P(T <= 90 d) of each row."""
        curves = self.calibration.curves(self.hazard.survival(frame, until=LONG_DAYS))
        return 1.0 - curves[:, -1]
