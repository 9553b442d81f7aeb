"""What sets one car apart from another: climate, driver, vehicle, device. Drawn once, for many cars."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulation.fleet.arrays import Flags, Floats, Ints, Stream, between, generator, whole_between
from simulation.fleet.parameters import DAYS_PER_YEAR, EPOCH, Parameters

_NORMALS: Final = 8
_UNIFORMS: Final = 12
_METRES_PER_KM: Final = 1_000.0
_MODELS: Final = ("Compact", "Saloon", "Estate", "Van")
MAKE: Final = "Simulated"


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """One entry per car; z: in standard deviations.

    Attributes:
        seed: of the fleet.
        numbers: of the cars within it.
        zone: index into the climate's zones.
        model: index into the models.
        model_year: of the car.
        trips_per_day: on days on which it is used.
        parked_share: of the days.
        short_trip_z: the short-trip habit.
        duration_median_s: of its trips.
        use_factor: how much faster than the median its use wears a battery.
        start_odometer_m: at the epoch, whole metres.
        current_factor: of its starter.
        tank_l: size of its fuel tank.
        consumption_l_per_100km: of fuel.
        is_smart: the regulator varies the voltage.
        regulator_v: offset of the alternator's voltage.
        is_slow: the device samples too slowly for the dip.
        offset_v: of the device's voltage channel at the epoch.
        missing_share: of the device's days.
        period_ms: between two records while driving.
    """

    seed: int
    numbers: tuple[int, ...]
    zone: Ints
    model: Ints
    model_year: Ints
    trips_per_day: Floats
    parked_share: Floats
    short_trip_z: Floats
    duration_median_s: Floats
    use_factor: Floats
    start_odometer_m: Ints
    current_factor: Floats
    tank_l: Floats
    consumption_l_per_100km: Floats
    is_smart: Flags
    regulator_v: Floats
    is_slow: Flags
    offset_v: Floats
    missing_share: Floats
    period_ms: Ints

    def __len__(self) -> int:
        return len(self.numbers)

    def model_name(self, place: int) -> str:
        """The model of the car at this place."""
        return _MODELS[int(self.model[place])]


def draw_profiles(seed: int, numbers: tuple[int, ...], parameters: Parameters) -> Profiles:
    """The cars of these numbers; each depends on seed and its own number alone."""
    driver, vehicle, device = parameters.driver, parameters.vehicle, parameters.device
    count = len(numbers)
    z, u = np.empty((_NORMALS, count)), np.empty((_UNIFORMS, count))
    parked, missing = np.empty(count), np.empty(count)
    for place, number in enumerate(numbers):
        random = generator(seed, number, Stream.PROFILE)
        z[:, place] = random.standard_normal(_NORMALS)
        u[:, place] = random.random(_UNIFORMS)
        parked[place] = random.beta(driver.parked_share_alpha, driver.parked_share_beta)
        missing[place] = random.beta(device.missing_alpha, device.missing_beta)
    shares = np.cumsum([zone.share for zone in parameters.climate.zones])
    model_year = whole_between(u[2], vehicle.model_years)
    years = EPOCH.year - model_year
    km = between(u[3], vehicle.start_odometer_km_per_year) * years
    trips_z, short_trip_z = z[0], z[1]
    seen_z = (short_trip_z + trips_z) / np.sqrt(2.0)
    seen, hidden = np.sqrt(driver.use_seen_share), np.sqrt(1.0 - driver.use_seen_share)
    return Profiles(
        seed=seed,
        numbers=numbers,
        zone=np.minimum(np.searchsorted(shares, u[0], "right"), len(shares) - 1).astype(np.int64),
        model=whole_between(u[1], (0, len(_MODELS) - 1)),
        model_year=model_year,
        trips_per_day=driver.trips_per_day_mean * np.exp(driver.trips_per_day_sigma * trips_z),
        parked_share=parked,
        short_trip_z=short_trip_z,
        duration_median_s=driver.duration_median_s * np.exp(-driver.duration_driver_sigma * short_trip_z),
        use_factor=np.exp(driver.use_sigma * (seen * seen_z + hidden * z[2])),
        start_odometer_m=np.rint(km * _METRES_PER_KM).astype(np.int64),
        current_factor=np.exp(vehicle.crank_current_sigma * z[3]),
        tank_l=between(u[4], vehicle.tank_l),
        consumption_l_per_100km=between(u[5], vehicle.consumption_l_per_100km),
        is_smart=u[6] < parameters.charging.smart_share,
        regulator_v=parameters.charging.voltage_sd_v * z[4],
        is_slow=u[7] < device.slow_share,
        offset_v=device.offset_sd_v * z[5],
        missing_share=missing,
        period_ms=whole_between(u[8], device.period_ms),
    )


def age_at_epoch_days(profiles: Profiles) -> Ints:
    """Days from a car's first day, taken as the middle of its model year, to the epoch."""
    ages: Ints = np.rint((EPOCH.year - profiles.model_year - 0.5) * DAYS_PER_YEAR).astype(np.int64)
    return ages
