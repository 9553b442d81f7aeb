"""The trips of one car on one day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from simulation.fleet.cars import Car
from simulation.fleet.motion import Motion

_HOUR_MS: Final = 3_600_000
_DEPARTURES_H: Final = ((6.5, 8.75), (11.25, 13.5), (16.0, 18.25), (19.75, 21.5))
"""Windows of departure: to work, at noon, home, in the evening; the longest trip fits between two."""
_TRIP_S: Final = (8 * 60.0, 38 * 60.0)
_MOST_TRIPS: Final = len(_DEPARTURES_H)
_FEWEST_TRIPS: Final = 2


@dataclass(frozen=True, slots=True)
class DayTrip:
    """One trip.

    Attributes:
        start_ms: ignition on, milliseconds after midnight.
        motion: what happens from there.
    """

    start_ms: int
    motion: Motion

    @property
    def end_ms(self) -> int:
        """Ignition off, milliseconds after midnight."""
        return self.start_ms + round(self.motion.duration_s * 1000)


@dataclass(frozen=True, slots=True)
class CarDay:
    """What a car does on a day; midnight finds it parked."""

    day: date
    trips: Sequence[DayTrip]

    @property
    def distance_m(self) -> float:
        """Of all trips."""
        return sum(trip.motion.distance_m for trip in self.trips)


def plan_day(car: Car, day: date) -> CarDay:
    """Two to four trips, the same ones each time it is asked."""
    random = car.random_of_day(day.toordinal())
    count = int(random.integers(_FEWEST_TRIPS, _MOST_TRIPS, endpoint=True))
    windows = sorted(random.choice(_MOST_TRIPS, count, replace=False).tolist())
    trips = []
    for window in windows:
        start_ms = int(random.uniform(*_DEPARTURES_H[window]) * _HOUR_MS)
        trips.append(DayTrip(start_ms, Motion.draw(random, random.uniform(*_TRIP_S), car.cruise_factor)))
    return CarDay(day, tuple(trips))
