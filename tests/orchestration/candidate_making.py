"""Candidates without a training: an evaluation that passes the gate, unless told otherwise."""

from datetime import date

import pandas as pd

from ml.bootstrap import Figure
from ml.calibration import Calibration
from ml.evaluation import Evaluation
from ml.hazard import HazardSettings
from orchestration.candidates import StoredCandidate

NAN = float("nan")


def make_evaluation(**overrides: object) -> Evaluation:
    figures = {
        "log_loss_vs_km": Figure(-0.02, -0.03, -0.01),
        "log_loss_vs_rule": Figure(-0.01, -0.02, -0.005),
        "average_precision_vs_rule": Figure(1.8, 1.5, 2.1),
        "oe_ratio": Figure(1.02, 0.9, 1.14),
        "information_fraction_90": Figure(NAN, NAN, NAN),
    }
    values: dict[str, object] = {
        "component": "battery",
        "cutoff": date(2026, 3, 1),
        "data_until": date(2026, 11, 25),
        "folds": 4,
        "seed": 4,
        "resamples": 500,
        "settings": HazardSettings(),
        "row_count": 900,
        "vehicle_count": 300,
        "failure_count": 60,
        "left_out": {"outcome_not_yet_known": 10},
        "figures": figures | overrides.pop("figures", {}),  # type: ignore[operator]
        "calibration": Calibration(),
        "reliability": pd.DataFrame(
            {
                "claim": ["risk_30", "risk_90", "confidence"],
                "predicted": [0.1, 0.2, 0.9],
                "observed": [0.1, 0.2, 0.9],
                "low": [0.0, 0.1, 0.8],
                "high": [0.2, 0.3, 1.0],
                "row_count": [300, 300, 300],
                "failure_count": [30, 60, 0],
            }
        ),
        "lift": pd.DataFrame({"share": [0.1, 1.0], "model": [0.5, 1.0], "rule": [0.3, 1.0]}),
        "survival": pd.DataFrame(
            {"decile": [1, 1], "day": [0.0, 90.0], "observed": [1.0, 0.9], "predicted": [1.0, 0.91]}
        ),
        "slices": pd.DataFrame(
            {
                "slice": ["month"],
                "value": ["2026-03"],
                "failure_count": [5],
                "oe_ratio": [1.0],
                "low": [NAN],
                "high": [NAN],
            }
        ),
        "data_hash": "0" * 64,
    }
    return Evaluation(**(values | overrides))  # type: ignore[arg-type]


def make_candidate(**overrides: object) -> StoredCandidate:
    return StoredCandidate("20261201T033012Z-0123456789ab", make_evaluation(**overrides), {"vehicles": 300})
