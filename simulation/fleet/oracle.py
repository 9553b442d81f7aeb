"""The oracle: the prediction of somebody who sees the true state and knows the law, but no weather to come.

From the evening of a day on, damage grows by the wear that its car, battery and alternator are expected to
have under climatology; the hazard of each coming day is the law's at that damage, its cold factor replaced by
the expectation. Two things are averaged and not summed over: the anomaly's memory of today's weather, and
faults of the alternator that are yet to begin (`expected_lacking_v`). Both are small: the fleet's observed
failures over the expected ones are tested.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa

from simulation.fleet.arrays import Floats, Ints
from simulation.fleet.battery import (
    cold_factor,
    heat_factor,
    preventive_hazard,
    resistance_mohm,
    wear_per_day,
    worn_hazard,
)
from simulation.fleet.charging import expected_lacking_v
from simulation.fleet.life import AHEAD_DAYS, Life
from simulation.fleet.parameters import DAYS_PER_YEAR, Parameters
from simulation.fleet.signals import dates, vins_of
from simulation.fleet.weather import expected

HORIZONS: Final = (30, 90)
_STEP_DAYS: Final = 3
"""The hazard is taken in the middle of such steps; both horizons are whole numbers of them."""
_SIGNIFICANT: Final = 6

ORACLE_SCHEMA: Final = pa.schema(
    [
        ("vin", pa.string()),
        ("date", pa.date32()),
        ("damage", pa.float64()),
        ("resistance_mohm", pa.float64()),
        ("age_days", pa.int32()),
        ("hazard_1d", pa.float64()),
        ("risk_30", pa.float64()),
        ("risk_90", pa.float64()),
    ]
)


def battery_days(life: Life, first_day: int, parameters: Parameters) -> pa.Table:
    """The true state and risks on the evening of every day, by car and day.

    Days on which a car stands with a failed battery have no row: there is nothing left to fail.

    Args:
        life: of the cars.
        first_day: days since the epoch.
        parameters: of the fleet.
    """
    lives, battery = life.batteries, parameters.battery
    car, day = np.nonzero(~lives.is_standing[first_day:].T)
    day = day + first_day
    damage, number = lives.damage[day, car], lives.battery[day, car] % len(lives.quality)
    hazard, risks = _risks(life, first_day, parameters)
    resistance = resistance_mohm(
        damage, lives.resistance_factor[number, car], lives.growth_factor[number, car], battery
    )
    place = day - first_day
    return pa.Table.from_arrays(
        [
            pa.DictionaryArray.from_arrays(car, pa.array(vins_of(life))).cast(pa.string()),
            dates(day),
            pa.array(_rounded(damage)),
            pa.array(_rounded(resistance)),
            pa.array(lives.age_days[day, car].astype(np.int32)),
            pa.array(_rounded(hazard[place, car])),
            *(pa.array(_rounded(risk[place, car])) for risk in risks),
        ],
        schema=ORACLE_SCHEMA,
    )


def _risks(life: Life, first_day: int, parameters: Parameters) -> tuple[Floats, list[Floats]]:
    """Risk of tomorrow and of each horizon, days × cars."""
    lives, profiles, battery = life.batteries, life.profiles, parameters.battery
    evening = np.arange(first_day, life.days)
    zone = profiles.zone
    heat = expected(lambda c: heat_factor(c, battery), parameters.climate, life.days + AHEAD_DAYS)
    cold = expected(lambda c: cold_factor(c, battery), parameters.climate, life.days + AHEAD_DAYS)[:, zone]
    heat_until = np.concatenate((np.zeros((1, heat.shape[1])), np.cumsum(heat, axis=0)))[:, zone]
    lacking = _lacking_ahead(life, evening, parameters)
    number = lives.battery[evening] % len(lives.quality)
    rate = wear_per_day(profiles, battery) / np.take_along_axis(lives.quality, number, axis=0)
    damage, age = lives.damage[evening], lives.age_days[evening]
    sudden = battery.sudden_per_year / DAYS_PER_YEAR

    def worn(offset: int) -> Floats:
        """Hazard of wear of the day so many days ahead (1 is tomorrow)."""
        grown = heat_until[evening + offset] - heat_until[evening + 1]
        # wear goes by heat × charging factor, and the two are not correlated: their means are multiplied
        factor = 1.0 + parameters.charging.wear_per_v * lacking(offset - 1) / max(offset - 1, 1)
        hazard: Floats = worn_hazard(damage + rate * grown * factor, battery) * cold[evening + offset]
        return hazard

    tomorrow = sudden + worn(1)
    preventive = preventive_hazard(age, battery)
    hazard_1d = tomorrow / (tomorrow + preventive) * -np.expm1(-tomorrow - preventive)
    survival, risk, risks = np.ones_like(damage), np.zeros_like(damage), []
    for begin in range(0, max(HORIZONS), _STEP_DAYS):
        middle = begin + (_STEP_DAYS + 1) // 2
        failing = sudden + worn(middle)
        total = failing + preventive_hazard(age + middle - 1, battery)
        ending = survival * -np.expm1(-total * _STEP_DAYS)
        risk = risk + ending * failing / total
        survival = survival - ending
        if begin + _STEP_DAYS in HORIZONS:
            risks.append(risk)
    return hazard_1d, risks


def _lacking_ahead(life: Life, evening: Ints, parameters: Parameters) -> Callable[[int], Floats]:
    """Volts that the alternator is expected to lack, summed over so many days from tomorrow on, days × cars.

    A fault that has begun is known to its end; after that, and without one, the long-run mean is expected.
    """
    lacking = life.lacking_v
    until = np.cumsum(lacking, axis=0)
    last_day = np.where(lacking > 0, len(lacking) - 1, np.arange(len(lacking))[:, None])
    has_pause = np.zeros_like(lacking, np.bool_)
    has_pause[:-1] = (lacking[:-1] > 0) & (lacking[1:] == 0)
    last_day = np.where(has_pause, np.arange(len(lacking))[:, None], last_day)
    # the last day of the fault that is there in the evening; without one, the evening itself
    ends = np.minimum.accumulate(last_day[::-1], axis=0)[::-1][evening]
    places = np.arange(lacking.shape[1])
    mean = expected_lacking_v(parameters.charging)

    def ahead(days: int) -> Floats:
        known_until = np.minimum(evening[:, None] + days, ends)
        total: Floats = until[known_until, places] - until[evening]
        return total + mean * (evening[:, None] + days - known_until)

    return ahead


def _rounded(values: Floats) -> Floats:
    """To six significant digits: more would be noise, and does not compress."""
    scale = 10.0 ** (_SIGNIFICANT - 1 - np.floor(np.log10(np.maximum(np.abs(values), 1e-300))))
    rounded: Floats = np.where(values == 0, 0.0, np.rint(values * scale) / scale)
    return rounded
