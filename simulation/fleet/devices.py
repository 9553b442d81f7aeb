"""What the tracker adds: its voltage channel's offset, and the days on which it says nothing."""

from typing import Final

import numpy as np

from simulation.fleet.arrays import Flags, Floats, Stream, daily_uniforms, generator
from simulation.fleet.parameters import DAYS_PER_YEAR, Device
from simulation.fleet.profiles import Profiles

_MISSING, _OUTAGE, _LENGTH, _FIRMWARE, _STEP = range(5)
_KINDS: Final = 5
_HALF: Final = 0.5


def offsets_v(profiles: Profiles, device: Device, days: int) -> Floats:
    """What each device's voltage channel reads too high, days × cars: constant, drift, firmware steps."""
    drift = np.empty((days, len(profiles)))
    for place, number in enumerate(profiles.numbers):
        drift[:, place] = generator(profiles.seed, number, Stream.DEVICE, 1).standard_normal(days)
    drift *= device.drift_sd_v_per_year / np.sqrt(DAYS_PER_YEAR)
    uniforms = _uniforms(profiles, days)
    sign = np.where(uniforms[_STEP] < _HALF, -1.0, 1.0)
    low, high = device.firmware_step_v
    size = low + (high - low) * (2.0 * uniforms[_STEP] % 1.0)
    is_step = uniforms[_FIRMWARE] < device.firmware_per_year / DAYS_PER_YEAR
    offsets: Floats = profiles.offset_v + np.cumsum(drift + np.where(is_step, sign * size, 0.0), axis=0)
    return offsets


def silent_days(profiles: Profiles, device: Device, days: int) -> Flags:
    """Days of which nothing of the device arrives, days × cars: single ones and outages."""
    uniforms = _uniforms(profiles, days)
    is_silent: Flags = uniforms[_MISSING] < profiles.missing_share
    low, high = np.log(device.outage_days)
    lengths = np.rint(np.exp(low + (high - low) * uniforms[_LENGTH])).astype(np.int64)
    for day, car in zip(
        *np.nonzero(uniforms[_OUTAGE] < device.outages_per_year / DAYS_PER_YEAR), strict=True
    ):
        is_silent[day : day + lengths[day, car], car] = True
    return is_silent


def _uniforms(profiles: Profiles, days: int) -> Floats:
    return daily_uniforms(profiles.seed, profiles.numbers, Stream.DEVICE, days, _KINDS)
