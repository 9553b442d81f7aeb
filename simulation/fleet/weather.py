"""Daily mean temperatures: the zone's normal plus an anomaly that remembers yesterday's; and what to expect.

The expectation of any function of temperature on a day is a Gauss-Hermite sum over the anomaly's stationary
distribution: this is the climatology under which the oracle looks ahead.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from simulation.fleet.arrays import Floats, Ints, Stream, generator
from simulation.fleet.parameters import DAYS_PER_YEAR, EPOCH, Climate
from simulation.fleet.profiles import Profiles

_NODES: Final = 15
_WARMEST_HOUR: Final = 15.0
_HOURS: Final = 24.0


def normals_c(climate: Climate, days: int) -> Floats:
    """Normal mean temperature of each day since the epoch in each zone, days × zones."""
    first = EPOCH.timetuple().tm_yday
    phase = 2 * np.pi * (np.arange(days) + first - climate.coldest_day_of_year) / DAYS_PER_YEAR
    means = np.array([zone.mean_c for zone in climate.zones])
    amplitudes = np.array([zone.amplitude_c for zone in climate.zones])
    normals: Floats = means - np.cos(phase)[:, None] * amplitudes
    return normals


def temperatures_c(profiles: Profiles, climate: Climate, days: int) -> Floats:
    """Mean temperature of each day at each car, days × cars."""
    anomaly = np.empty((days, len(profiles)))
    for place, number in enumerate(profiles.numbers):
        anomaly[:, place] = generator(profiles.seed, number, Stream.WEATHER).standard_normal(days)
    fresh = np.sqrt(1.0 - climate.anomaly_memory**2)
    for day in range(1, days):
        anomaly[day] = climate.anomaly_memory * anomaly[day - 1] + fresh * anomaly[day]
    sd = np.array([zone.anomaly_sd_c for zone in climate.zones])
    temperatures: Floats = normals_c(climate, days)[:, profiles.zone] + anomaly * sd[profiles.zone]
    return temperatures


def expected(function: Callable[[Floats], Floats], climate: Climate, days: int) -> Floats:
    """Expectation of a function of a day's mean temperature under climatology, days × zones."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    sd = np.array([zone.anomaly_sd_c for zone in climate.zones])
    values = function(normals_c(climate, days)[:, :, None] + sd[:, None] * nodes)
    mean: Floats = values @ (weights / weights.sum())
    return mean


def diurnal_c(climate: Climate, time_s: Ints) -> Floats:
    """What the hour adds to the day's mean."""
    turn = 2 * np.pi * (time_s / 3600.0 - _WARMEST_HOUR) / _HOURS
    added: Floats = climate.diurnal_c * np.cos(turn)
    return added
