"""One generated car as a source of encoded records, and a fleet of them."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from ingest.registry.models import NewDevice
from simulation.device.encoding import encode_columns
from simulation.device.records import RecordBlock
from simulation.fleet.cars import Car, make_car
from simulation.fleet.day import CarDay, plan_day
from simulation.fleet.end_day import kept_end_day
from simulation.fleet.telemetry import record_count, telemetry_of_day
from simulation.replay.source import RecordSource

GENERATOR_VERSION: Final = 1
"""Grows with every change that makes other bytes out of the same seed."""


class GeneratedSource:
    """A car's days.

    Args:
        car: that drives.
        days: how many.
        end_day: the last of them.
    """

    def __init__(self, car: Car, days: int, end_day: date) -> None:
        self._car = car
        self._days = days
        self._end_day = end_day

    @property
    def name(self) -> str:
        """Seed and number: `Fleet_1_0012`."""
        return f"Fleet_{self._car.seed}_{self._car.number:04d}"

    @property
    def device(self) -> NewDevice:
        """The car's tracker."""
        return self._car.as_new_device()

    @property
    def pin(self) -> Mapping[str, str | int]:
        """What the car and its days are made from; not how many other cars there are."""
        return {
            "imei": self._car.imei,
            "seed": self._car.seed,
            "car": self._car.number,
            "days": self._days,
            "end_day": self._end_day.isoformat(),
            "generator": GENERATOR_VERSION,
        }

    def count(self) -> int:
        """Records of all days."""
        return sum(record_count(self._car, plan) for plan in self._plans())

    def blocks(self, skip: int) -> Generator[RecordBlock, None, None]:
        """The records behind the first `skip`, at most a day to a block."""
        behind, driven_m = 0, 0.0
        for plan in self._plans():
            count = record_count(self._car, plan)
            if behind + count > skip:
                columns = telemetry_of_day(self._car, plan, driven_m)
                yield encode_columns(columns.tail(max(0, skip - behind)))
            behind += count
            driven_m += plan.distance_m

    def left_out(self) -> Counter[str]:
        """Nothing: what is generated fits."""
        return Counter()

    def _plans(self) -> Iterator[CarDay]:
        for back in reversed(range(self._days)):
            yield plan_day(self._car, self._end_day - timedelta(days=back))


def generated_fleet(vehicles: int, days: int, seed: int, folder: Path, today: date) -> list[RecordSource]:
    """A fleet's cars, the same ones with the same records each time they are asked for from one folder.

    Args:
        vehicles: how many cars; a larger fleet of the same seed begins with the smaller one's cars.
        days: of driving.
        seed: of all that is random.
        folder: where the fleet's last day is kept.
        today: the present UTC day; the first time, the last day is the one before.

    Raises:
        ConfigurationError: the seed is too large, or the kept day cannot be read.
    """
    cars = [make_car(seed, number) for number in range(1, vehicles + 1)]
    end_day = kept_end_day(folder, seed, today)
    return [GeneratedSource(car, days, end_day) for car in cars]
