"""The battery's life, day by day: wear, the hazard of each day, failures, standing still, replacements.

The law, for one battery on one day:

    wear      damage grows by  rate × use ÷ quality × Q10 ** ((T - 15) / 10) × charging factor
    hazard    sudden + worn_out × exp(steepness × (damage - 1)) × cold(T), per year, damage as of the morning
    end       with probability 1 - exp(-(hazard + preventive) / 365.25) of that day

The hazard is explicit, so the oracle knows it exactly. A day runs so: a car that stood long enough gets a new
battery in the morning; the hazard decides; if the battery survives, it wears. A preventive replacement is
made in the evening. A car that failed stands, its battery does not wear.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from simulation.fleet.arrays import (
    Flags,
    Floats,
    Ints,
    Stream,
    between,
    daily_uniforms,
    generator,
    whole_between,
)
from simulation.fleet.parameters import DAYS_PER_YEAR, Battery, Parameters
from simulation.fleet.profiles import Profiles, age_at_epoch_days
from simulation.fleet.weather import expected

_REFERENCE_C: Final = 15.0
_STEP_C: Final = 10.0
_BATTERIES: Final = 32
"""Batteries of a car that are drawn; the 33rd is like the first."""
_END, _STANDING = range(2)


class End(IntEnum):
    """What ended a battery's life on a day."""

    NONE = 0
    WORN = 1
    SUDDEN = 2
    PREVENTIVE = 3


@dataclass(frozen=True, slots=True, eq=False)
class BatteryLives:
    """Days × cars unless said otherwise.

    Attributes:
        morning_damage: wear at the day's beginning, of the battery that then is in the car.
        damage: wear at the day's end; on the evening of a preventive replacement the new one's.
        morning_battery: which of the car's batteries is in it during the day.
        battery: which one at the day's end.
        age_days: of the battery at the day's end.
        end: what ended its life that day (`End`).
        is_standing: the car stands with a failed battery; the day of the failure is the first.
        quality: batteries × cars; wear goes by 1 / quality.
        resistance_factor: batteries × cars; of the new battery.
        growth_factor: batteries × cars; of how the resistance grows with damage.
    """

    morning_damage: Floats
    damage: Floats
    morning_battery: Ints
    battery: Ints
    age_days: Ints
    end: Ints
    is_standing: Flags
    quality: Floats
    resistance_factor: Floats
    growth_factor: Floats


def heat_factor(temperature_c: Floats, battery: Battery) -> Floats:
    """Wear's factor at a day's mean temperature."""
    factor: Floats = battery.wear_q10 ** ((temperature_c - _REFERENCE_C) / _STEP_C)
    return factor


def cold_factor(temperature_c: Floats, battery: Battery) -> Floats:
    """Factor of the hazard of wear at a day's mean temperature."""
    below = np.maximum(battery.cold_below_c - temperature_c, 0.0)
    factor: Floats = np.exp(battery.cold_per_10c / _STEP_C * below)
    return factor


def worn_hazard(damage: Floats, battery: Battery) -> Floats:
    """Hazard of wear per day at 10 °C or more."""
    hazard: Floats = battery.worn_out_per_year / DAYS_PER_YEAR * np.exp(battery.steepness * (damage - 1.0))
    return hazard


def preventive_hazard(age_days: Ints, battery: Battery) -> Floats:
    """Hazard per day of a replacement before failure."""
    hazard: Floats = np.where(
        age_days >= battery.preventive_from_days, battery.preventive_per_year / DAYS_PER_YEAR, 0.0
    )
    return hazard


def resistance_mohm(damage: Floats, factor: Floats, growth: Floats, battery: Battery) -> Floats:
    """True resistance at 25 °C."""
    grown = battery.linear_growth * damage + battery.late_growth * damage**battery.late_power
    resistance: Floats = battery.resistance_mohm * factor * (1.0 + growth * grown)
    return resistance


def wear_per_day(profiles: Profiles, battery: Battery) -> Floats:
    """Wear of each car's battery of quality 1 at 15 °C with a sound alternator."""
    rate: Floats = battery.wear_per_year / DAYS_PER_YEAR * profiles.use_factor
    return rate


def live(
    profiles: Profiles, temperature_c: Floats, charging_factor: Floats, parameters: Parameters
) -> BatteryLives:
    """The batteries of all cars from the epoch on.

    Args:
        profiles: the cars.
        temperature_c: mean of each day, days × cars.
        charging_factor: of wear, days × cars.
        parameters: of the fleet.
    """
    battery, days, cars = parameters.battery, *temperature_c.shape
    quality, resistance, growth, first = _draw_batteries(profiles, battery)
    uniforms = daily_uniforms(profiles.seed, profiles.numbers, Stream.HAZARD, days, 2)
    standing_days = whole_between(uniforms[_STANDING], parameters.failure.standing_days)
    wear = heat_factor(temperature_c, battery) * charging_factor * wear_per_day(profiles, battery)
    cold = cold_factor(temperature_c, battery)
    sudden = battery.sudden_per_year / DAYS_PER_YEAR
    places = np.arange(cars)

    in_car = np.zeros(cars, np.int64)
    age = np.minimum(
        between(first, battery.first_age_days), np.maximum(age_at_epoch_days(profiles), 0)
    ).astype(np.int64)
    damage = np.minimum(age * _mean_wear(profiles, parameters) / quality[0], battery.first_damage_limit)
    left = np.zeros(cars, np.int64)
    lives = BatteryLives(
        morning_damage=np.empty((days, cars)),
        damage=np.empty((days, cars)),
        morning_battery=np.empty((days, cars), np.int64),
        battery=np.empty((days, cars), np.int64),
        age_days=np.empty((days, cars), np.int64),
        end=np.zeros((days, cars), np.int64),
        is_standing=np.zeros((days, cars), np.bool_),
        quality=quality,
        resistance_factor=resistance,
        growth_factor=growth,
    )
    for day in range(days):
        is_new = left == 1
        left = np.maximum(left - 1, 0)
        in_car = in_car + is_new
        damage, age = np.where(is_new, 0.0, damage), np.where(is_new, 0, age)
        lives.morning_damage[day] = damage
        lives.morning_battery[day] = in_car
        failing = sudden + worn_hazard(damage, battery) * cold[day]
        total = failing + preventive_hazard(age, battery)
        # uniform numbers below 1 - exp(-total) end a life; stretched to [0, total), they say how
        share = uniforms[_END, day] / -np.expm1(-total) * total
        ends = np.where(share < sudden, End.SUDDEN, np.where(share < failing, End.WORN, End.PREVENTIVE))
        end = np.where((share < total) & (left == 0), ends, End.NONE)
        has_failed = (end == End.WORN) | (end == End.SUDDEN)
        is_replaced = end == End.PREVENTIVE
        left = np.where(has_failed, standing_days[day], left)
        is_standing = left > 0
        damage = np.where(is_standing, damage, damage + wear[day] / quality[in_car % _BATTERIES, places])
        in_car = in_car + is_replaced
        damage, age = np.where(is_replaced, 0.0, damage), np.where(is_replaced, 0, age + 1)
        lives.damage[day], lives.battery[day], lives.age_days[day] = damage, in_car, age
        lives.end[day], lives.is_standing[day] = end, is_standing
    return lives


def _mean_wear(profiles: Profiles, parameters: Parameters) -> Floats:
    """Wear per day of each car's battery of quality 1 over a year of normal weather."""
    year = expected(lambda c: heat_factor(c, parameters.battery), parameters.climate, int(DAYS_PER_YEAR))
    mean: Floats = year.mean(axis=0)[profiles.zone] * wear_per_day(profiles, parameters.battery)
    return mean


def _draw_batteries(profiles: Profiles, battery: Battery) -> tuple[Floats, Floats, Floats, Floats]:
    """Quality, resistance and growth of each car's batteries; a uniform number for the first one's age."""
    z = np.empty((_BATTERIES, 3, len(profiles)))
    first = np.empty(len(profiles))
    for place, number in enumerate(profiles.numbers):
        random = generator(profiles.seed, number, Stream.BATTERIES)
        first[place] = random.random()
        z[:, :, place] = random.standard_normal((_BATTERIES, 3))
    return (
        np.exp(battery.quality_sigma * z[:, 0]),
        np.exp(battery.resistance_sigma * z[:, 1]),
        np.exp(battery.growth_sigma * z[:, 2]),
        first,
    )
