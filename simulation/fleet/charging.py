"""Alternator faults: what the charging voltage lacks on each day, and what it does to the battery's wear."""

from typing import Final

import numpy as np

from simulation.fleet.arrays import Floats, Stream, daily_uniforms
from simulation.fleet.parameters import DAYS_PER_YEAR, Charging
from simulation.fleet.profiles import Profiles

_ONSET, _KIND, _GROWTH, _DEPTH, _REPAIR = range(5)
_KINDS: Final = 5


def lacking_v(profiles: Profiles, charging: Charging, days: int) -> Floats:
    """Volts below what the regulator asks for, days × cars; 0 with a sound alternator.

    A fault grows to its depth (at once, or over weeks), stays until the repair, and another one begins after
    that at the earliest. Everything about it is drawn on its first day.
    """
    uniforms = daily_uniforms(profiles.seed, profiles.numbers, Stream.CHARGING, days, _KINDS)
    lacking = np.zeros((days, len(profiles)))
    sound_from = np.zeros(len(profiles), np.int64)
    starts = uniforms[_ONSET] < charging.fault_per_year / DAYS_PER_YEAR
    for day, car in zip(*np.nonzero(starts), strict=True):
        if day < sound_from[car]:
            continue
        kind, growth, depth, repair = uniforms[_KIND:, day, car]
        low, high = charging.gradual_days
        growing = int(low + (high - low + 1) * growth) if kind < charging.gradual_share else 1
        low, high = charging.repair_days
        until = day + growing + int(low + (high - low + 1) * repair)
        low_v, high_v = charging.depth_v
        course = np.minimum(np.arange(1, until - day + 1) / growing, 1.0) * (low_v + (high_v - low_v) * depth)
        lacking[day:until, car] = course[: days - day]
        sound_from[car] = until
    return lacking


def wear_factor(lacking: Floats, charging: Charging) -> Floats:
    """By how much faster a battery wears that is not charged in full."""
    factor: Floats = 1.0 + charging.wear_per_v * lacking
    return factor


def expected_lacking_v(charging: Charging) -> float:
    """Mean lack of a car whose alternator is sound now, in the long run; a small number."""
    gradual = sum(charging.gradual_days) / 2
    repair = sum(charging.repair_days) / 2
    full_days = charging.gradual_share * (gradual / 2 + repair) + (1 - charging.gradual_share) * (1 + repair)
    return charging.fault_per_year / DAYS_PER_YEAR * full_days * sum(charging.depth_v) / 2
