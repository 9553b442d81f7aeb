"""The fleet's cars: identity and what sets one apart from another, all drawn from seed and number.

IMEI and VIN come from ranges that no real device or car has (`ingest.registry.ranges`). Seed and number are
part of both, so fleets of different seeds are different cars and never meet in the stores.

| seed | number | IMEI | VIN |
|---|---|---|---|
| 1 | 12 | 00102 00001 0012 + Luhn digit | 0SM00001?1A000012 (? is the check digit) |
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.registry.models import Family, NewDevice
from simulation.fleet.route import Loop
from telematics.errors import ConfigurationError
from telematics.imei import luhn_digit
from telematics.names import Origin
from telematics.vin import with_check_digit

MAX_SEED: Final = 99_999
MAX_CARS: Final = 10_000

_IMEI_HEAD: Final = "00102"
"""Test equipment (001); 02 keeps clear of the recorded cars' 001017."""
_VIN_HEAD: Final = "0SM"
_MODEL_YEAR_AND_PLANT: Final = "1A"

_CITY_CENTRE_DEG: Final = (53.4808, -2.2426)
"""Manchester drives in mph, and its clocks show UTC in winter: a day of driving lies within a UTC day."""
_LOOP_RADIUS_M: Final = (1_800.0, 5_500.0)
_START_ODOMETER_M: Final = (4e6, 140e6)
_CRUISE_FACTOR: Final = (0.9, 1.1)
_PERIOD_MS: Final = (2_000, 5_000)

# each purpose has random numbers of its own, so that one can grow without moving the others
_CAR_STREAM, _DAY_STREAM, _RECORD_STREAM = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Car:
    """A generated car.

    Attributes:
        seed: of its fleet.
        number: within the fleet, from 1.
        loop: the way that it drives round and round.
        start_odometer_m: total odometer before the first day.
        cruise_factor: how fast it drives compared with others.
        period_ms: time between two records while driving.
    """

    seed: int
    number: int
    loop: Loop
    start_odometer_m: float
    cruise_factor: float
    period_ms: int

    @property
    def imei(self) -> str:
        """15 digits with a right Luhn digit."""
        body = f"{_IMEI_HEAD}{self.seed:05d}{self.number - 1:04d}"
        return body + luhn_digit(body)

    @property
    def vin(self) -> str:
        """17 characters with a right check digit."""
        return with_check_digit(f"{_VIN_HEAD}{self.seed:05d}0{_MODEL_YEAR_AND_PLANT}{self.number:06d}")

    def as_new_device(self) -> NewDevice:
        """What the registry needs: an F-family tracker in a simulated car."""
        return NewDevice(self.imei, self.vin, Family.F, Origin.SIMULATED)

    def random_of_day(self, ordinal: int) -> np.random.Generator:
        """Random numbers for a day's trips (proleptic ordinal), independent of every other day and car."""
        return np.random.default_rng((self.seed, self.number, _DAY_STREAM, ordinal))

    def random_of_records(self, ordinal: int) -> np.random.Generator:
        """Random numbers for what a day's records add to its trips."""
        return np.random.default_rng((self.seed, self.number, _RECORD_STREAM, ordinal))


def make_car(seed: int, number: int) -> Car:
    """The car of that number in the fleet of that seed.

    Raises:
        ConfigurationError: seed or number have no place in IMEI and VIN.
    """
    if not 0 <= seed <= MAX_SEED:
        message = f"--seed {seed}: the seed of a fleet is part of its VINs and runs from 0 to {MAX_SEED}"
        raise ConfigurationError(message)
    if not 1 <= number <= MAX_CARS:
        message = f"--vehicles {number}: a fleet has 1 to {MAX_CARS} cars"
        raise ConfigurationError(message)
    random = np.random.default_rng((seed, number, _CAR_STREAM))
    return Car(
        seed,
        number,
        Loop.around(*_CITY_CENTRE_DEG, radius_m=random.uniform(*_LOOP_RADIUS_M), random=random),
        start_odometer_m=random.uniform(*_START_ODOMETER_M),
        cruise_factor=random.uniform(*_CRUISE_FACTOR),
        period_ms=int(random.integers(*_PERIOD_MS, endpoint=True)),
    )
