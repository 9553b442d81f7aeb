"""Trips as drivers plan them, before any failure: how many on which day, how long, how far.

Trips are rows of a table, car by car in the order of time; the cells of days and cars have one number each,
`car × days + day`. What depends on a trip alone is drawn per trip in that order, so that a longer history
only appends.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulation.fleet.arrays import Floats, Ints, Stream, generator
from simulation.fleet.parameters import EPOCH, Driver
from simulation.fleet.profiles import Profiles

MOST_TRIPS: Final = 9
"""On a day."""
_PARKED, _COUNT = range(2)
_SATURDAY: Final = 5
_WEEK: Final = 7
_POSITIONS: Final = 2**30


@dataclass(frozen=True, slots=True, eq=False)
class PlannedTrips:
    """One entry per trip.

    Attributes:
        cell: car × days + day, ascending.
        place: of the trip within its day, from 0.
        duration_s: ignition on to ignition off, whole seconds.
        distance_m: whole metres.
        position: uniform number: where in the day's free time it begins.
        count: cars × days; trips of each day.
    """

    cell: Ints
    place: Ints
    duration_s: Ints
    distance_m: Ints
    position: Floats
    count: Ints

    @property
    def days(self) -> int:
        """Since the epoch."""
        return int(self.count.shape[1])


def plan_trips(profiles: Profiles, driver: Driver, days: int) -> PlannedTrips:
    """The trips of all cars from the epoch on."""
    count = _counts(profiles, driver, days)
    cell = np.repeat(np.arange(count.size), count.ravel())
    starts = np.cumsum(count.ravel()) - count.ravel()
    of_car = count.sum(axis=1)
    z, position = np.empty((2, len(cell))), np.empty(len(cell))
    until = np.cumsum(of_car)
    for number, first, last in zip(profiles.numbers, until - of_car, until, strict=True):
        random = generator(profiles.seed, number, Stream.TRIPS)
        drawn = random.random((last - first, 4))
        # Box and Muller: a fixed number of uniform numbers per trip
        radius, turn = np.sqrt(-2.0 * np.log1p(-drawn[:, 0])), 2 * np.pi * drawn[:, 1]
        z[0, first:last], z[1, first:last] = radius * np.cos(turn), radius * np.sin(turn)
        position[first:last] = drawn[:, 2]
    car = cell // days
    shortest, longest = driver.duration_s
    duration = profiles.duration_median_s[car] * np.exp(driver.duration_trip_sigma * z[0])
    duration = np.clip(duration, shortest, longest)
    in_day = np.bincount(cell, duration, count.size)[cell]
    duration = np.maximum(duration * np.minimum(driver.day_driving_limit_s / in_day, 1.0), shortest)
    kph = driver.speed_median_kph * (duration / driver.duration_median_s) ** driver.speed_exponent
    kph = np.clip(kph * np.exp(driver.speed_sigma * z[1]), *driver.speed_kph)
    seconds = np.rint(duration).astype(np.int64)
    return PlannedTrips(
        cell=cell,
        place=np.arange(len(cell)) - starts[cell],
        duration_s=seconds,
        distance_m=np.rint(seconds * kph / 3.6).astype(np.int64),
        position=position,
        count=count,
    )


def _counts(profiles: Profiles, driver: Driver, days: int) -> Ints:
    """Trips of each day: none where the car stays parked, else one and a Poisson number more."""
    weekday = (EPOCH.weekday() + np.arange(days)) % _WEEK
    factor = np.where(weekday >= _SATURDAY, driver.weekend_parked_factor, 1.0)
    counts = np.empty((len(profiles), days), np.int64)
    more = np.arange(MOST_TRIPS)
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(more[1:]))))
    for place, number in enumerate(profiles.numbers):
        drawn = generator(profiles.seed, number, Stream.USE).random((days, 2))
        mean = max(float(profiles.trips_per_day[place]) - 1.0, 0.2)
        poisson = np.cumsum(np.exp(more * np.log(mean) - mean - log_factorial))[:-1]
        is_parked = drawn[:, _PARKED] < profiles.parked_share[place] * factor
        counts[place] = np.where(is_parked, 0, 1 + np.searchsorted(poisson, drawn[:, _COUNT], "right"))
    return counts


def start_times_s(
    cell: Ints, position: Floats, duration_s: Ints, place: Ints, count: Ints, driver: Driver
) -> Ints:
    """When the trips begin, whole seconds after midnight; no two trips of a day touch.

    A day's free time (its window without trips and gaps) is cut at the trips' sorted positions.

    Args:
        cell: of each trip, ascending; all trips of a cell are there.
        position: uniform numbers, one per trip.
        duration_s: of each trip.
        place: of each trip within its cell.
        count: of the trips in each trip's cell.
        driver: parameters.
    """
    first, last = driver.day_window_s
    # sorted within each cell, as whole numbers: sums would round by the number of the cell
    keys = cell * _POSITIONS + (position * _POSITIONS).astype(np.int64)
    ordered = (np.sort(keys) - cell * _POSITIONS) / _POSITIONS
    _, back = np.unique(cell, return_inverse=True)
    driving = np.bincount(back, duration_s)[back]
    free = (last - first) - driving - count * driver.gap_s
    before = np.cumsum(duration_s) - duration_s
    is_first = place == 0
    before = before - before[is_first][back]
    times: Ints = np.floor(first + free * ordered + before + place * driver.gap_s).astype(np.int64)
    return times
