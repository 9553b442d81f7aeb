"""Array types, and the random numbers of a car: one generator per purpose.

All arrays over time have the day as their first axis, so that a day of all cars lies in one piece. Draws of a
car are filled day by day (or trip by trip): a later end appends and changes nothing before it.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Stream(IntEnum):
    """Purposes with random numbers of their own, so that one can grow without moving the others."""

    ROUTE = 0
    PROFILE = 1
    WEATHER = 2
    USE = 3
    TRIPS = 4
    BATTERIES = 5
    HAZARD = 6
    CHARGING = 7
    DEVICE = 8
    CODES = 9
    WORKSHOP = 10
    MOTION = 11
    RECORDS = 12
    VOLTAGE = 13
    FAILURE = 14


def generator(seed: int, number: int, stream: Stream, *more: int) -> np.random.Generator:
    """The random numbers of one car for one purpose.

    Args:
        seed: of the fleet.
        number: of the car.
        stream: the purpose.
        more: further numbers, for example of a day.
    """
    return np.random.default_rng((seed, number, stream, *more))


def daily_uniforms(seed: int, numbers: tuple[int, ...], stream: Stream, days: int, kinds: int) -> Floats:
    """Uniform numbers for every day of every car, as an array of kinds × days × cars."""
    drawn = np.empty((kinds, days, len(numbers)))
    for place, number in enumerate(numbers):
        drawn[:, :, place] = generator(seed, number, stream).random((days, kinds)).T
    return drawn


def between(uniforms: Floats, limits: tuple[float, float]) -> Floats:
    """Uniform numbers in [0, 1) stretched to these limits."""
    low, high = limits
    stretched: Floats = low + (high - low) * uniforms
    return stretched


def whole_between(uniforms: Floats, limits: tuple[int, int]) -> Ints:
    """Whole numbers from the first to the last, both included, equally likely."""
    low, high = limits
    whole: Ints = low + np.floor((high - low + 1) * uniforms).astype(np.int64)
    return whole
