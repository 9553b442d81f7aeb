"""Which trouble codes are stored on which day, as bits of one number per day and car.

A code is stored from its first day for some days, whatever its cause; then it is cleared.
"""

from functools import lru_cache
from typing import Final

import numpy as np

from simulation.fleet.arrays import Floats, Ints, Stream, daily_uniforms, whole_between
from simulation.fleet.battery import BatteryLives, End
from simulation.fleet.parameters import DAYS_PER_YEAR, Codes
from simulation.fleet.profiles import Profiles

_UNRELATED, _WHICH, _UNRELATED_DAYS, _LOW, _LOW_DAYS = range(5)
_KINDS: Final = 5


def stored_codes(profiles: Profiles, lives: BatteryLives, lacking_v: Floats, codes: Codes) -> Ints:
    """Bits of the stored codes, days × cars; bit i is code i of `code_names`."""
    days, cars = lacking_v.shape
    uniforms = daily_uniforms(profiles.seed, profiles.numbers, Stream.CODES, days, _KINDS)
    bits = np.zeros((days, cars), np.int64)

    def store(begins: tuple[Ints, ...], until: Ints, which: Ints) -> None:
        for day, car, end, bit in zip(*begins, until, which, strict=True):
            bits[day:end, car] |= 1 << bit

    begins = np.nonzero(uniforms[_UNRELATED] < codes.unrelated_per_year / DAYS_PER_YEAR)
    which = np.floor(uniforms[_WHICH][begins] * len(codes.unrelated)).astype(np.int64)
    store(begins, begins[0] + whole_between(uniforms[_UNRELATED_DAYS][begins], codes.unrelated_days), which)

    has_failed = (lives.end == End.WORN) | (lives.end == End.SUDDEN)
    probability = np.where(
        has_failed,
        codes.failed_start_share,
        codes.spurious_per_year / DAYS_PER_YEAR
        + np.where(lacking_v >= codes.fault_from_v, codes.fault_per_day, 0.0)
        + np.where(lives.morning_damage >= codes.worn_from, codes.worn_per_day, 0.0),
    )
    begins = np.nonzero(uniforms[_LOW] < probability)
    until = begins[0] + whole_between(uniforms[_LOW_DAYS][begins], codes.low_voltage_days)
    # a new battery comes with an empty memory
    until = np.minimum(until, _next_replacement(lives)[begins])
    store(begins, until, np.full(len(until), len(codes.unrelated), np.int64))
    return bits


def _next_replacement(lives: BatteryLives) -> Ints:
    """For each day and car, the next day whose morning finds another battery; far away if there is none."""
    days = len(lives.battery)
    number = np.full(lives.battery.shape, np.iinfo(np.int64).max)
    is_new = np.diff(lives.morning_battery, axis=0) != 0
    number[:-1] = np.where(is_new, np.arange(1, days)[:, None], number[:-1])
    following: Ints = np.minimum.accumulate(number[::-1], axis=0)[::-1]
    return following


def code_names(codes: Codes) -> tuple[str, ...]:
    """The codes by bit."""
    return (*codes.unrelated, codes.low_voltage)


@lru_cache(maxsize=4096)
def codes_of(bits: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """The codes of one number, sorted."""
    return tuple(sorted(name for bit, name in enumerate(names) if bits >> bit & 1))
