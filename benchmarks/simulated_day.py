"""One day of a simulated fleet, with what trackers report besides: harsh events."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np

from benchmarks.hot_days import Arrival, arrivals
from ingest.registry.models import NewDevice
from simulation.device.encoding import IoColumn, RecordColumns, encode_columns
from simulation.device.records import RecordBlock
from simulation.fleet.source import CarDays, fleet_days
from simulation.fleet.telemetry import telemetry_of_day

SEED: Final = 611
_GREEN_DRIVING_TYPE, _GREEN_DRIVING_VALUE = 253, 254
_MOST_KINDS: Final = 3
"""Acceleration, braking, cornering."""
_HARSH_SHARE: Final = 0.002
"""Of the records of a moving car: one in eight minutes of driving at a record a second."""
_LEAST_CENTI_G, _MOST_CENTI_G = 25, 70


@dataclass(frozen=True, slots=True)
class SimulatedDay:
    """What a fleet sent on one day.

    Attributes:
        devices: all of the fleet, those that were silent included.
        frames: in no order.
        reporting: devices that sent anything.
    """

    devices: list[NewDevice]
    frames: list[Arrival]
    reporting: int


def simulate_day(day: date, vehicles: int, seed: int = SEED) -> SimulatedDay:
    """The day of a fleet; always the same one."""
    devices, frames, reporting = [], [], 0
    for car in fleet_days(seed=seed, vehicles=vehicles, days=1, end_day=day):
        sent = [*arrivals(car.device.imei, _blocks(car))]
        devices.append(car.device)
        frames += sent
        reporting += bool(sent)
    return SimulatedDay(devices, frames, reporting)


def _blocks(car: CarDays) -> Iterator[RecordBlock]:
    for recorded in car.recorded():
        columns = telemetry_of_day(recorded, car.loop)
        random = np.random.default_rng((car.car.seed, car.car.number))
        yield encode_columns(_with_harsh_events(columns, random))


def _with_harsh_events(columns: RecordColumns, random: np.random.Generator) -> RecordColumns:
    """Some records of the moving car become events of their own (AVL 253 with 254, hundredths of g)."""
    count = len(columns)
    is_harsh = (columns.speed_kph > 0) & (columns.event_io_id == 0) & (random.random(count) < _HARSH_SHARE)
    kind = random.integers(1, _MOST_KINDS, count, endpoint=True)
    value = random.integers(_LEAST_CENTI_G, _MOST_CENTI_G, count, endpoint=True)
    return replace(
        columns,
        priority=np.where(is_harsh, 1, columns.priority),
        event_io_id=np.where(is_harsh, _GREEN_DRIVING_TYPE, columns.event_io_id),
        io=(
            *columns.io,
            IoColumn(_GREEN_DRIVING_TYPE, 1, kind, is_harsh),
            IoColumn(_GREEN_DRIVING_VALUE, 1, value, is_harsh),
        ),
    )
