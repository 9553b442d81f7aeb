"""A small fleet whose hazard is known: batteries with a latent wear that the signals show, with noise.

The daily hazard is `base + gain * exp(steepness * (wear - 1)) * cold`. Wear grows by a rate of each battery's
own, whatever the weather, so that the true risk of any day is a plain sum over the days after it.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from ml.days import from_epoch_day, to_epoch_day
from ml.features import BATTERY_FEATURES
from ml.hazard import HazardSettings
from ml.oracle import Oracle

FIRST = date(2023, 1, 1)
QUICK = HazardSettings(max_iter=50, learning_rate=0.2)
"""Enough for a hazard as plain as this one's."""
BASE, GAIN, STEEPNESS = 0.00012, 0.02, 9.0


@dataclass(frozen=True)
class Fleet:
    features: pd.DataFrame
    records: pd.DataFrame
    oracle: Oracle
    data_until: date


def cold(day: np.ndarray) -> np.ndarray:
    """1.0 in summer to 2.0 in winter."""
    return 1.5 + 0.5 * np.cos(2 * np.pi * (day - to_epoch_day(date(2023, 1, 15))) / 365.25)


def hazard(wear: np.ndarray, day: np.ndarray) -> np.ndarray:
    return np.minimum(BASE + GAIN * np.exp(STEEPNESS * (wear - 1)) * cold(day), 0.5)


def make_fleet(
    vehicles: int = 300, days: int = 730, *, seed: int = 1, noise_v: float = 0.15, step: int = 14
) -> Fleet:
    """Feature rows at landmark days of a fleet, its service records and its oracle."""
    rng = np.random.default_rng(seed)
    first = to_epoch_day(FIRST)
    calendar = first + np.arange(days)
    rate = rng.lognormal(np.log(1 / 1500), 0.35, vehicles)
    wear = rng.uniform(0, 0.9, vehicles)
    born = np.full(vehicles, -1)
    rows, records, failures, truth = [], [], [], []
    names = np.array([f"SYN{seed:02d}{number:012d}" for number in range(vehicles)], dtype=object)
    ahead = np.arange(1, 91)
    for day in calendar:
        if day % step == 0 and day - first >= 28:
            future = hazard(wear[:, None] + rate[:, None] * ahead, day + ahead)
            survival = np.exp(np.cumsum(np.log1p(-future), axis=1))
            truth.append(
                pd.DataFrame(
                    {
                        "vin": names,
                        "date": from_epoch_day(day),
                        "risk_30": 1 - survival[:, 29],
                        "risk_90": 1 - survival[:, 89],
                    }
                )
            )
            rows.append(_features(names, wear, rate, born, day, rng, noise_v))
        wear = wear + rate
        failed = np.flatnonzero(rng.random(vehicles) < hazard(wear, np.array(day + 1)))
        for number in failed:
            lag = 1 + rng.geometric(1 / 5)
            is_recorded = rng.random() > 0.04
            failures.append((names[number], from_epoch_day(day + 1), from_epoch_day(day + 1), is_recorded))
            if is_recorded:
                records.append(_record(names[number], day + 1, lag, "failure"))
        healthy = np.flatnonzero((rng.random(vehicles) < 0.00003) & (wear > 0.4))
        for number in healthy:
            records.append(_record(names[number], day + 1, 3, "preventive"))
        renewed = np.union1d(failed, healthy)
        wear[renewed], born[renewed] = 0.0, day + 1
        rate[renewed] = rng.lognormal(np.log(1 / 1500), 0.35, len(renewed))
    oracle = Oracle(
        pd.concat(truth, ignore_index=True),
        pd.DataFrame(failures, columns=["vin", "failed_on", "replaced_on", "recorded"]),
    )
    table = pd.DataFrame(
        records, columns=["vin", "component", "kind", "performed_on", "recorded_at", "reason"]
    )
    return Fleet(pd.concat(rows, ignore_index=True), table, oracle, from_epoch_day(int(calendar[-1])))


def _record(vin: str, day: int, lag: int, reason: str) -> tuple[object, ...]:
    booked = pd.Timestamp(from_epoch_day(int(day)) + timedelta(days=int(lag)), tz="UTC")
    return (vin, "battery", "replacement", from_epoch_day(int(day)), booked, reason)


def _features(
    names: np.ndarray,
    wear: np.ndarray,
    rate: np.ndarray,
    born: np.ndarray,
    day: int,
    rng: np.random.Generator,
    noise: float,
) -> pd.DataFrame:
    count = len(names)
    frame = make_rows(count)
    frame["vin"], frame["as_of"] = names, from_epoch_day(int(day))
    frame["newest_known_at"] = pd.Timestamp(from_epoch_day(int(day)), tz="UTC")
    ambient = 25 - 22 * (cold(np.array(day)) - 1) + rng.normal(0, 2, count)
    shown = wear + rng.normal(0, noise / 2, count)
    # the lowest of 28 days is mostly the weather and the noise of a single start
    frame["crank_min_v_28d"] = 10.6 - 1.2 * wear + 0.03 * (ambient - 25) + rng.normal(0, 4 * noise, count)
    frame["crank_mean_v_28d"] = 11.0 - 1.2 * shown + 0.02 * (ambient - 25)
    frame["crank_resistance_mohm_28d"] = 6.2 + 4 * shown
    frame["crank_resistance_delta_90d"] = 360 * rate + rng.normal(0, 0.15, count)
    frame["rest_v_28d"] = 12.6 - 0.3 * wear + rng.normal(0, noise, count)
    frame["ambient_c_28d"] = frame["ambient_c_7d"] = ambient
    frame["battery_age_days"] = np.where(born > 0, day - born, np.nan)
    angle = 2 * np.pi * (day % 365.25) / 365.25
    frame["season_sin"], frame["season_cos"] = np.sin(angle), np.cos(angle)
    return frame


def make_rows(count: int = 1, **overrides: object) -> pd.DataFrame:
    """Feature rows of ordinary, well-watched cars; every column of the contract."""
    usual: dict[str, object] = {
        "crank_min_v_28d": 10.3,
        "crank_mean_v_28d": 10.8,
        "crank_resistance_mohm_28d": 7.0,
        "rest_v_28d": 12.5,
        "charge_v_28d": 14.2,
        "ambient_c_28d": 15.0,
        "valid_days_7d": 6.0,
        "valid_days_28d": 24.0,
        "valid_days_90d": 78.0,
        "days_since_valid": 0.0,
        "engine_on_h_28d": 30.0,
        "distance_km_28d": 900.0,
        "season_sin": 0.0,
        "season_cos": 1.0,
    }
    frame = pd.DataFrame({name: np.full(count, usual.get(name, np.nan)) for name in BATTERY_FEATURES})
    frame.insert(0, "vin", [f"SYN00{number:012d}" for number in range(count)])
    frame.insert(1, "component", "battery")
    frame.insert(2, "as_of", date(2025, 1, 14))
    frame.insert(3, "origin", "simulated")
    frame.insert(4, "newest_known_at", pd.Timestamp("2025-01-14T06:00Z"))
    frame["crank_min_v_28d_date"], frame["ambient_at_crank_min_c"] = date(2025, 1, 12), -5.0
    return frame.assign(**overrides)
