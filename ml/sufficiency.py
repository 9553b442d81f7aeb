"""How much a prediction has to stand on, apart from how risky the vehicle is (`models.md` 1.10)."""

from typing import Final

import numpy as np
import pandas as pd

from ml.days import FloatArray

WINDOW_DAYS: Final = 28
SENSORS: Final[dict[str, str]] = {
    "crank_min_v_28d": "crank voltage",
    "rest_v_28d": "resting voltage",
    "charge_v_28d": "charging voltage",
    "ambient_c_28d": "outside temperature",
}
"""The signals that the features are made from, by a feature that is null without the signal."""
THRESHOLD: Final = 0.4
"""Below it the risk is unknown (`models.md` 1.10)."""


def data_sufficiency(frame: pd.DataFrame) -> FloatArray:
    """0 to 1 per row: days with a start of the last 28, times the share of the signals reported."""
    days = frame["valid_days_28d"].fillna(0).to_numpy(dtype=np.float64)
    coverage = frame[list(SENSORS)].notna().to_numpy().mean(axis=1)
    return np.asarray(np.clip(days / WINDOW_DAYS, 0.0, 1.0) * coverage, dtype=np.float64)


def is_sufficient(frame: pd.DataFrame) -> np.ndarray:
    """Whether each row has enough data for a prediction."""
    return data_sufficiency(frame) >= THRESHOLD


def reason_of(row: "pd.Series[float] | dict[str, float]") -> str:
    """Why a row below the threshold has no prediction, in words.

    Args:
        row: the features of one vehicle.
    """
    days = _number(row["valid_days_28d"])
    if days == 0:
        silent = _number(row["days_since_valid"], missing=-1.0)
        is_driven = _number(row["engine_on_h_28d"]) > 0 or _number(row["distance_km_28d"]) > 0
        if not is_driven and silent >= 0:
            return f"silent for {silent:.0f} days"
        if _number(row["rest_v_28d"]) > 0 or _number(row["charge_v_28d"]) > 0:
            return f"no start's voltage dip was seen in the last {WINDOW_DAYS} days"
        return f"no 12 V voltage was reported in the last {WINDOW_DAYS} days"
    if days / WINDOW_DAYS < THRESHOLD:
        return f"only {days:.0f} {'day' if days == 1 else 'days'} with a start in the last {WINDOW_DAYS}"
    absent = [name for column, name in SENSORS.items() if np.isnan(_number(row[column], missing=np.nan))]
    return f"only {days:.0f} of the last {WINDOW_DAYS} days have a start, and without {' and '.join(absent)}"


def _number(value: float, missing: float = 0.0) -> float:
    return missing if value is None or np.isnan(value) else float(value)
