"""Names, units and groups of the features, and the check of a table of them.

The numbers themselves are made once, in dbt (`ftr_component_days`); training and scoring read the same
columns. Nothing here computes a feature.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import pandas as pd

from ml.days import epoch_days
from ml.errors import FeatureFrameError, LeakageError

BATTERY: Final = "battery"

KEY_COLUMNS: Final = ("vin", "component", "as_of", "origin", "newest_known_at")
EVIDENCE_COLUMNS: Final = ("crank_min_v_28d_date", "ambient_at_crank_min_c")
"""Carried for the words of the evidence; never seen by a model. They may be absent."""


class Group(StrEnum):
    """What a feature is about; evidence is given per group, as the features of one move together."""

    CRANK = "crank"
    TREND = "trend"
    REST = "rest"
    CHARGE = "charge"
    USAGE = "usage"
    WEATHER = "weather"
    DATA = "data"
    TROUBLE_CODES = "trouble_codes"
    AGE = "age"
    SEASON = "season"


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of `ftr_component_days`.

    Attributes:
        name: the column.
        group: the evidence group.
        unit: UCUM-like unit, '1' for a share or a plain number.
        words: how evidence names it, with `{}` where the number stands if not at the end, before its unit;
            empty when evidence never quotes this one.
        decimals: digits shown in evidence.
        direction: +1 when physics says that more of it never makes a failure less likely, -1 for the
            opposite, 0 when nothing is certain; used as a monotonic constraint of the hazard.
    """

    name: str
    group: Group
    unit: str
    words: str = ""
    decimals: int = 1
    direction: int = 0


_F = Feature

FEATURES: Final[tuple[Feature, ...]] = (
    _F("crank_min_v_7d", Group.CRANK, "V", direction=-1),
    _F("crank_min_v_28d", Group.CRANK, "V", "lowest crank voltage", 1, -1),
    _F("crank_min_v_90d", Group.CRANK, "V", direction=-1),
    _F("crank_mean_v_7d", Group.CRANK, "V", direction=-1),
    _F("crank_mean_v_28d", Group.CRANK, "V", "mean crank voltage over 28 days", 2, -1),
    _F("crank_mean_v_90d", Group.CRANK, "V", direction=-1),
    _F("crank_mean_v_180d", Group.CRANK, "V"),
    _F("crank_sd_v_28d", Group.CRANK, "V"),
    _F("crank_resistance_mohm_7d", Group.CRANK, "mOhm", direction=1),
    _F("crank_resistance_mohm_28d", Group.CRANK, "mOhm", "crank resistance", 1, 1),
    _F("crank_resistance_mohm_90d", Group.CRANK, "mOhm", direction=1),
    _F("crank_resistance_sd_28d", Group.CRANK, "mOhm"),
    _F("crank_resistance_delta_90d", Group.TREND, "mOhm", "change of crank resistance in 90 days", 1, 1),
    _F("crank_resistance_delta_180d", Group.TREND, "mOhm", "change of crank resistance in 180 days", 1, 1),
    _F("rest_v_7d", Group.REST, "V", direction=-1),
    _F("rest_v_28d", Group.REST, "V", "mean resting voltage", 2, -1),
    _F("rest_v_90d", Group.REST, "V", direction=-1),
    _F("rest_min_v_28d", Group.REST, "V", "lowest resting voltage", 2, -1),
    _F("rest_delta_90d", Group.TREND, "V", "change of resting voltage in 90 days", 2),
    _F("charge_v_7d", Group.CHARGE, "V"),
    _F("charge_v_28d", Group.CHARGE, "V", "mean charging voltage", 2),
    _F("charge_min_v_28d", Group.CHARGE, "V", "lowest charging voltage of a trip", 2),
    _F("charge_sd_v_28d", Group.CHARGE, "V", "spread of the charging voltage", 2),
    _F("starts_per_day_28d", Group.USAGE, "1/d", "{} engine starts a day", 1),
    _F("short_trip_share_28d", Group.USAGE, "1", "share of trips under 10 minutes {}", 2),
    _F("distance_km_28d", Group.USAGE, "km", "{} km driven in 28 days", 0),
    _F("engine_on_h_28d", Group.USAGE, "h", "{} engine hours in 28 days", 0),
    _F("ambient_c_7d", Group.WEATHER, "Cel"),
    _F("ambient_c_28d", Group.WEATHER, "Cel", "mean outside temperature over 28 days", 0),
    _F("ambient_min_c_28d", Group.WEATHER, "Cel", "lowest outside temperature in 28 days", 0),
    _F("ambient_c_90d", Group.WEATHER, "Cel"),
    _F("valid_days_7d", Group.DATA, "d"),
    _F("valid_days_28d", Group.DATA, "d", "engine starts seen on {} of the last 28 days", 0),
    _F("valid_days_90d", Group.DATA, "d"),
    _F("days_since_valid", Group.DATA, "d", "{} days since the last engine start seen", 0),
    _F(
        "dtc_battery_days_28d",
        Group.TROUBLE_CODES,
        "d",
        "a battery trouble code on {} of the last 28 days",
        0,
    ),
    _F("dtc_days_28d", Group.TROUBLE_CODES, "d", "a trouble code on {} of the last 28 days", 0),
    _F("battery_age_days", Group.AGE, "d", "{} days since the last known battery replacement", 0),
    _F("vehicle_age_years", Group.AGE, "a", "vehicle {} years old", 1),
    _F("season_sin", Group.SEASON, "1"),
    _F("season_cos", Group.SEASON, "1"),
)
"""The battery's features in the order in which a model sees them."""

BATTERY_FEATURES: Final[tuple[str, ...]] = tuple(feature.name for feature in FEATURES)
BY_NAME: Final[dict[str, Feature]] = {feature.name: feature for feature in FEATURES}
GROUPS: Final[dict[str, Group]] = {feature.name: feature.group for feature in FEATURES}
UNITS: Final[dict[str, str]] = {feature.name: feature.unit for feature in FEATURES}
DIRECTIONS: Final[dict[str, int]] = {feature.name: feature.direction for feature in FEATURES}


def check_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows as models read them: plain types, one row per vehicle and day, nothing known too late.

    Args:
        frame: columns `vin`, `component`, `as_of`, `origin`, `newest_known_at` and BATTERY_FEATURES, in
            any order and of any type that pandas reads as text, dates and numbers; further columns are
            dropped but for EVIDENCE_COLUMNS.

    Returns:
        A new table with a fresh index: `as_of` as datetime64, every feature float64 (NaN = not known).

    Raises:
        FeatureFrameError: columns are missing, a key is empty or repeated, a feature is no finite number.
        LeakageError: `newest_known_at` lies after the end of the UTC day `as_of`.
    """
    missing = [name for name in (*KEY_COLUMNS, *BATTERY_FEATURES) if name not in frame.columns]
    if missing:
        message = (
            f"the feature table lacks {len(missing)} columns ({', '.join(missing[:5])}…): "
            "build ftr_component_days with this release's dbt project and read it again"
        )
        raise FeatureFrameError(message)
    checked = pd.DataFrame(
        {name: frame[name].astype(str).to_numpy(dtype=object) for name in ("vin", "component", "origin")}
    )
    if frame[["vin", "as_of"]].isna().to_numpy().any():
        message = "the feature table has rows without vin or as_of: they cannot belong to a vehicle's day"
        raise FeatureFrameError(message)
    as_of = epoch_days(frame["as_of"])
    checked["as_of"] = as_of.astype("datetime64[D]").astype("datetime64[s]")
    _refuse_repeated(checked)
    _refuse_leaks(frame, as_of)
    for name in BATTERY_FEATURES:
        checked[name] = _numbers(frame, name)
    for name in EVIDENCE_COLUMNS:
        checked[name] = frame[name].to_numpy() if name in frame.columns else None
    return checked.copy()


def _refuse_repeated(checked: pd.DataFrame) -> None:
    repeated = int(checked.duplicated(["vin", "component", "as_of"]).sum())
    if repeated:
        message = (
            f"the feature table repeats {repeated} rows of the same vehicle, component and day: "
            "read it from one relation, once"
        )
        raise FeatureFrameError(message)


def _refuse_leaks(frame: pd.DataFrame, as_of: np.ndarray) -> None:
    late = int((epoch_days(frame["newest_known_at"]) > as_of).sum())
    if late:
        message = (
            f"{late} feature rows use signals that became known after their as_of: "
            "a model trained on them would see the future; rebuild ftr_component_days"
        )
        raise LeakageError(message)


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    try:
        values = pd.to_numeric(frame[name]).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        message = f"the feature {name} holds what is no number: rebuild ftr_component_days"
        raise FeatureFrameError(message) from error
    if np.isinf(values).any():
        message = f"the feature {name} holds an infinite number, from a division by zero: correct its model"
        raise FeatureFrameError(message)
    return np.asarray(values, dtype=np.float64)
