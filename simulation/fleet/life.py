"""The true lives of some cars, from the epoch to a last day: everything that happens, in arrays."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from simulation.fleet import battery, charging, trouble_codes, use, weather
from simulation.fleet.arrays import Flags, Floats, Ints, Stream, daily_uniforms, whole_between
from simulation.fleet.battery import BatteryLives, End
from simulation.fleet.devices import offsets_v, silent_days
from simulation.fleet.parameters import EPOCH, Parameters
from simulation.fleet.profiles import Profiles, draw_profiles
from simulation.fleet.use import PlannedTrips

_PLACE, _ATTEMPTS, _TIME = range(3)
_KINDS: Final = 3
AHEAD_DAYS: Final = 93
"""How far the oracle looks, and a bit."""


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """Days × cars from the epoch on, unless said otherwise.

    Attributes:
        profiles: the cars.
        temperature_c: mean of the day.
        lacking_v: what the alternator lacks; goes on for `AHEAD_DAYS`, since the oracle knows a fault's end.
        batteries: their lives.
        planned: trips as planned.
        is_driven: per planned trip: no failure and no standing car prevented it.
        attempts: failed starts of each day; they begin a failure.
        failed_place: which planned trip of the day of failure does not start.
        attempt_position: uniform number for the time of a failed start without planned trips.
        odometer_m: at the day's beginning, whole metres; one more day at the end.
        codes: stored trouble codes as bits.
        offset_v: of the device's voltage channel.
        is_silent: nothing of the device arrives.
    """

    profiles: Profiles
    temperature_c: Floats
    lacking_v: Floats
    batteries: BatteryLives
    planned: PlannedTrips
    is_driven: Flags
    attempts: Ints
    failed_place: Ints
    attempt_position: Floats
    odometer_m: Ints
    codes: Ints
    offset_v: Floats
    is_silent: Flags

    @property
    def days(self) -> int:
        """Since the epoch."""
        return len(self.temperature_c)

    @property
    def has_failed(self) -> Flags:
        """Days on which a battery failed."""
        failed: Flags = (self.batteries.end == End.WORN) | (self.batteries.end == End.SUDDEN)
        return failed


def day_number(day: date) -> int:
    """Days since the epoch."""
    return (day - EPOCH).days


def simulate_life(seed: int, numbers: tuple[int, ...], last_day: date, parameters: Parameters) -> Life:
    """Live the cars' lives through the last day; each depends on seed and number alone, day for day."""
    days = day_number(last_day) + 1
    profiles = draw_profiles(seed, numbers, parameters)
    temperature = weather.temperatures_c(profiles, parameters.climate, days)
    lacking = charging.lacking_v(profiles, parameters.charging, days + AHEAD_DAYS)
    lives = battery.live(
        profiles, temperature, charging.wear_factor(lacking[:days], parameters.charging), parameters
    )
    planned = use.plan_trips(profiles, parameters.driver, days)
    chances = daily_uniforms(seed, numbers, Stream.FAILURE, days, _KINDS)
    has_failed = (lives.end == End.WORN) | (lives.end == End.SUDDEN)
    failed_place = np.floor(chances[_PLACE] * planned.count.T).astype(np.int64)
    attempts = np.where(has_failed, whole_between(chances[_ATTEMPTS], parameters.failure.attempts), 0)
    car, day = np.divmod(planned.cell, days)
    is_driven = ~lives.is_standing[day, car]
    is_driven |= has_failed[day, car] & (planned.place < failed_place[day, car])
    driven = np.bincount(planned.cell, planned.distance_m * is_driven, planned.count.size)
    odometer = np.empty((days + 1, len(profiles)), np.int64)
    odometer[0] = profiles.start_odometer_m
    # sums of whole numbers below 2 ** 53: exact
    np.cumsum(driven.reshape(planned.count.shape).T.astype(np.int64), axis=0, out=odometer[1:])
    odometer[1:] += profiles.start_odometer_m
    return Life(
        profiles=profiles,
        temperature_c=temperature,
        lacking_v=lacking,
        batteries=lives,
        planned=planned,
        is_driven=is_driven,
        attempts=attempts,
        failed_place=failed_place,
        attempt_position=chances[_TIME],
        odometer_m=odometer,
        codes=trouble_codes.stored_codes(profiles, lives, lacking[:days], parameters.codes),
        offset_v=offsets_v(profiles, parameters.device, days),
        is_silent=silent_days(profiles, parameters.device, days),
    )
