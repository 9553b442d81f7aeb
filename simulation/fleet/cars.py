"""The cars' names: IMEI and VIN, made from the fleet's seed and the car's number.

They come from ranges that no real device or car has (`ingest.registry.ranges`). Seed and number are part of
both, so fleets of different seeds are different cars and never meet in the stores.

| seed | number | IMEI | VIN |
|---|---|---|---|
| 1 | 12 | 00102 00001 0011 + Luhn digit | 0SM00001?1A000012 (? is the check digit) |
"""

from dataclasses import dataclass
from typing import Final

from ingest.registry.models import Family, NewDevice
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


@dataclass(frozen=True, slots=True)
class Car:
    """A simulated car's identity.

    Attributes:
        seed: of its fleet.
        number: within the fleet, from 1.
    """

    seed: int
    number: int

    @property
    def imei(self) -> str:
        """15 digits with a right Luhn digit."""
        body = f"{_IMEI_HEAD}{self.seed:05d}{self.number - 1:04d}"
        return body + luhn_digit(body)

    @property
    def vin(self) -> str:
        """17 characters with a right check digit."""
        return with_check_digit(f"{_VIN_HEAD}{self.seed:05d}0{_MODEL_YEAR_AND_PLANT}{self.number:06d}")

    def as_new_device(self, *, make: str, model: str, model_year: int) -> NewDevice:
        """What the registry needs: an F-family tracker in a simulated car."""
        return NewDevice(
            self.imei,
            self.vin,
            Family.F,
            Origin.SIMULATED,
            make=make,
            model=model,
            model_year=model_year,
        )


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
    return Car(seed, number)


def by_vin(seed: int, vehicles: int) -> tuple[int, ...]:
    """The numbers of a fleet's cars in the order of their VINs, which is that of the check digit first.

    Raises:
        ConfigurationError: see `make_car`.
    """
    make_car(seed, vehicles)
    return tuple(sorted(range(1, vehicles + 1), key=lambda number: make_car(seed, number).vin))
