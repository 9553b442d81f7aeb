"""One simulated car as a source of encoded records, and a fleet of them."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from ingest.registry.models import NewDevice
from simulation.device.encoding import encode_columns
from simulation.device.records import Flags, Ints, RecordBlock
from simulation.fleet.arrays import Floats, Stream, generator
from simulation.fleet.cars import Car, by_vin, make_car
from simulation.fleet.history import check_days
from simulation.fleet.life import Life, day_number, simulate_life
from simulation.fleet.parameters import EPOCH, PARAMETERS, Parameters
from simulation.fleet.profiles import MAKE
from simulation.fleet.route import Loop
from simulation.fleet.telemetry import RecordedDay, record_count, telemetry_of_day
from simulation.fleet.trips import Trips, open_circuit_v, trips_of_days
from simulation.fleet.trouble_codes import code_names, codes_of
from simulation.replay.source import RecordSource

GENERATOR_VERSION: Final = 2
"""Grows with every change that makes other bytes out of the same seed and parameters."""
_LOOP_RADIUS_M: Final = (1_800.0, 5_500.0)
_CARS_AT_A_TIME: Final = 20
_PARKED_H: Final = 6.0
_MV: Final = 1_000.0
_LITRES_PER_METRE: Final = 1e-5
"""Of one litre per 100 km."""


@dataclass(frozen=True, slots=True, eq=False)
class CarDays:
    """What the records of a car's days are made from; one entry per day unless said otherwise.

    Attributes:
        car: whose they are.
        device: as the registry knows it.
        loop: the way that it drives round and round.
        first_day: of them.
        trips: of all the days.
        odometer_m: at each day's beginning.
        parked_mv: voltage of the parked car.
        fuel_pct: level at each day's beginning.
        codes: stored trouble codes.
        is_silent: nothing of the device arrives.
        period_ms: between two records while driving.
        parameters_hash: of what it all was made from.
    """

    car: Car
    device: NewDevice
    loop: Loop
    first_day: date
    trips: Trips
    odometer_m: Ints
    parked_mv: Ints
    fuel_pct: Ints
    codes: tuple[tuple[str, ...], ...]
    is_silent: Flags
    period_ms: int
    parameters_hash: str

    @property
    def end_day(self) -> date:
        """The last of them."""
        return self.first_day + timedelta(days=len(self.is_silent) - 1)

    def recorded(self) -> Iterator[RecordedDay]:
        """The days of which something arrives."""
        first = day_number(self.first_day)
        edges = np.searchsorted(self.trips.day, first + np.arange(len(self.is_silent) + 1))
        for place in np.flatnonzero(~self.is_silent).tolist():
            yield RecordedDay(
                seed=self.car.seed,
                number=self.car.number,
                day=EPOCH + timedelta(days=first + place),
                trips=self.trips.select(np.arange(edges[place], edges[place + 1])),
                odometer_m=int(self.odometer_m[place]),
                parked_mv=int(self.parked_mv[place]),
                fuel_pct=int(self.fuel_pct[place]),
                codes=self.codes[place],
                period_ms=self.period_ms,
            )


class SimulatedSource:
    """A simulated car's days as records.

    Args:
        days: of the car.
    """

    def __init__(self, days: CarDays) -> None:
        self._days = days

    @property
    def name(self) -> str:
        """Seed and number: `Fleet_1_00012`."""
        return f"Fleet_{self._days.car.seed}_{self._days.car.number:05d}"

    @property
    def device(self) -> NewDevice:
        """The car's tracker."""
        return self._days.device

    @property
    def pin(self) -> Mapping[str, str | int]:
        """What the car and its days are made from; not how many other cars there are."""
        days = self._days
        return {
            "imei": days.car.imei,
            "seed": days.car.seed,
            "car": days.car.number,
            "days": len(days.is_silent),
            "end_day": days.end_day.isoformat(),
            "generator": GENERATOR_VERSION,
            "parameters": days.parameters_hash,
        }

    def count(self) -> int:
        """Records of all days."""
        return sum(record_count(recorded) for recorded in self._days.recorded())

    def blocks(self, skip: int) -> Generator[RecordBlock, None, None]:
        """The records behind the first `skip`, at most a day to a block."""
        behind = 0
        for recorded in self._days.recorded():
            count = record_count(recorded)
            if behind + count > skip:
                columns = telemetry_of_day(recorded, self._days.loop)
                yield encode_columns(columns.tail(max(0, skip - behind)))
            behind += count

    def left_out(self) -> Counter[str]:
        """Nothing: what is simulated fits."""
        return Counter()


def fleet_sources(
    *, seed: int, vehicles: int, days: int, end_day: date, parameters: Parameters = PARAMETERS
) -> Sequence[RecordSource]:
    """A fleet's cars over its last days; a larger fleet of the same seed has the smaller one's cars.

    Args:
        seed: of the fleet.
        vehicles: how many cars.
        days: how many days.
        end_day: the last of them.
        parameters: of the fleet.

    Raises:
        ConfigurationError: seed, cars or days are out of their range.
    """
    return [
        SimulatedSource(each)
        for each in fleet_days(
            seed=seed, vehicles=vehicles, days=days, end_day=end_day, parameters=parameters
        )
    ]


def fleet_days(
    *, seed: int, vehicles: int, days: int, end_day: date, parameters: Parameters = PARAMETERS
) -> list[CarDays]:
    """What the fleet's records are made from, car by car in the order of their numbers."""
    first_day = check_days(days, end_day)
    numbers = sorted(by_vin(seed, vehicles))
    found: list[CarDays] = []
    for begin in range(0, vehicles, _CARS_AT_A_TIME):
        some = tuple(numbers[begin : begin + _CARS_AT_A_TIME])
        life = simulate_life(seed, some, end_day, parameters)
        trips = trips_of_days(life, day_number(first_day), parameters)
        found += [_car_days(life, trips, place, first_day, parameters) for place in range(len(some))]
    return found


def _car_days(life: Life, trips: Trips, place: int, first_day: date, parameters: Parameters) -> CarDays:
    profiles, first = life.profiles, day_number(first_day)
    car = make_car(profiles.seed, profiles.numbers[place])
    zone = parameters.climate.zones[int(profiles.zone[place])]
    random = generator(car.seed, car.number, Stream.ROUTE)
    names = code_names(parameters.codes)
    device = car.as_new_device(
        make=MAKE, model=profiles.model_name(place), model_year=int(profiles.model_year[place])
    )
    return CarDays(
        car=car,
        device=device,
        loop=Loop.around(
            zone.latitude_deg, zone.longitude_deg, radius_m=random.uniform(*_LOOP_RADIUS_M), random=random
        ),
        first_day=first_day,
        trips=trips.select(np.flatnonzero(trips.car == place)),
        odometer_m=life.odometer_m[first:-1, place],
        parked_mv=np.rint(_parked_v(life, place, parameters)[first:] * _MV).astype(np.int64),
        fuel_pct=_fuel_pct(life, place, parameters)[first:-1],
        codes=tuple(codes_of(int(bits), names) for bits in life.codes[first:, place]),
        is_silent=life.is_silent[first:, place],
        period_ms=int(profiles.period_ms[place]),
        parameters_hash=parameters.fingerprint,
    )


def _parked_v(life: Life, place: int, parameters: Parameters) -> Floats:
    """Voltage of the parked car on each day since the epoch, as the device reads it."""
    lives = life.batteries
    sound = open_circuit_v(
        lives.morning_damage[:, place],
        np.full(life.days, life.profiles.short_trip_z[place]),
        life.lacking_v[: life.days, place],
        _PARKED_H,
        parameters,
    )
    failed = parameters.failure.worn_rest_v[0]
    voltage: Floats = np.where(lives.is_standing[:, place], failed, sound) + life.offset_v[:, place]
    return voltage


def _fuel_pct(life: Life, place: int, parameters: Parameters) -> Ints:
    """Level on the morning of each day since the epoch: driven down, filled up, again and again."""
    profiles, usable = life.profiles, 1.0 - parameters.vehicle.refuel_at_share
    litres = life.odometer_m[:, place] * profiles.consumption_l_per_100km[place] * _LITRES_PER_METRE
    used: Floats = litres / profiles.tank_l[place] % usable
    return np.rint(100.0 * (1.0 - used)).astype(np.int64)
