"""The service book: what workshops write down of the batteries' true lives, late and with gaps."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from simulation.fleet.arrays import Flags, Ints, Stream, daily_uniforms
from simulation.fleet.battery import End
from simulation.fleet.life import Life
from simulation.fleet.parameters import DAYS_PER_YEAR, EPOCH, Parameters
from simulation.fleet.signals import dates, vins_of
from telematics.units import miles_from_metres

COMPONENT: Final = "battery"
_UNRECORDED, _LAG, _REASON, _REPAIR = range(4)
_KINDS: Final = 4
_NOON: Final = time(12, tzinfo=UTC)

SERVICE_SCHEMA: Final = pa.schema(
    [
        ("vin", pa.string()),
        ("component", pa.string()),
        ("kind", pa.string()),
        ("performed_on", pa.date32()),
        ("recorded_at", pa.timestamp("ms", tz="UTC")),
        ("odometer_mi", pa.float64()),
        ("reason", pa.string()),
    ]
)
FAILURE_SCHEMA: Final = pa.schema(
    [
        ("vin", pa.string()),
        ("failed_on", pa.date32()),
        ("mode", pa.string()),
        ("replaced_on", pa.date32()),
        ("recorded", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class ServiceBook:
    """Of some cars.

    Attributes:
        records: the book, by car and day, as far as it was written by the last day's end.
        failures: the truth of the days from the first one on.
    """

    records: pa.Table
    failures: pa.Table


def service_book(life: Life, first_day: int, parameters: Parameters) -> ServiceBook:
    """What is written down from the epoch on, and the failures of the days from the first one on.

    A failure whose replacement lies behind the last day is not among them: it is not over.
    """
    workshop, lives, profiles = parameters.workshop, life.batteries, life.profiles
    days = life.days
    uniforms = daily_uniforms(profiles.seed, profiles.numbers, Stream.WORKSHOP, days, _KINDS)
    lag_days = 1 + np.floor(np.log1p(-uniforms[_LAG]) / np.log1p(-1.0 / workshop.lag_mean_days)).astype(
        np.int64
    )
    is_kept = uniforms[_UNRECORDED] >= workshop.unrecorded_share

    is_preventive = lives.end == End.PREVENTIVE
    is_replacement = is_preventive.copy()
    # the morning on which a car has another battery than the evening before
    is_replacement[1:] |= lives.morning_battery[1:] != lives.battery[:-1]
    is_repair = uniforms[_REPAIR] < workshop.repair_per_year / DAYS_PER_YEAR
    is_repair &= ~is_replacement & ~lives.is_standing
    is_written = np.arange(days)[:, None] + lag_days < days

    car, day = np.nonzero(((is_replacement & is_kept) | is_repair).T & is_written.T)
    reason = np.where(
        is_preventive[day, car],
        "preventive",
        np.where(
            is_repair[day, car] | (uniforms[_REASON, day, car] < workshop.unknown_reason_share),
            "unknown",
            "failure",
        ),
    )
    vins = vins_of(life)
    records = pa.Table.from_arrays(
        [
            pa.array([vins[each] for each in car], pa.string()),
            pa.array([COMPONENT] * len(car), pa.string()),
            pa.array(np.where(is_repair[day, car], "repair", "replacement").tolist(), pa.string()),
            dates(day),
            pa.array([_noon(int(each)) for each in day + lag_days[day, car]], pa.timestamp("ms", tz="UTC")),
            pa.array(
                [round(miles_from_metres(int(each)), 1) for each in life.odometer_m[day, car]], pa.float64()
            ),
            pa.array(reason.tolist(), pa.string()),
        ],
        schema=SERVICE_SCHEMA,
    )
    return ServiceBook(records, _failures(life, first_day, is_replacement & is_kept & is_written))


def _failures(life: Life, first_day: int, is_recorded: Flags) -> pa.Table:
    lives, days = life.batteries, life.days
    car, day = np.nonzero(life.has_failed[first_day:].T)
    day = day + first_day
    replaced = day + _standing_days(life, day, car)
    is_over = replaced < days
    car, day, replaced = car[is_over], day[is_over], replaced[is_over]
    vins = vins_of(life)
    modes = np.where(lives.end[day, car] == End.SUDDEN, "sudden", "wear")
    return pa.Table.from_arrays(
        [
            pa.array([vins[each] for each in car], pa.string()),
            dates(day),
            pa.array(modes.tolist(), pa.string()),
            dates(replaced),
            pa.array(is_recorded[replaced, car]),
        ],
        schema=FAILURE_SCHEMA,
    )


def _standing_days(life: Life, day: Ints, car: Ints) -> Ints:
    """Days from each failure to the next day on which the car does not stand with the same battery."""
    standing, lives = np.ones(len(day), np.int64), life.batteries
    is_open = np.ones(len(day), np.bool_)
    while is_open.any():
        next_day = day + standing
        inside = np.minimum(next_day, life.days - 1)
        is_open = (next_day < life.days) & (
            lives.morning_battery[inside, car] == lives.morning_battery[day, car]
        )
        standing = standing + is_open
    return standing


def _noon(day: int) -> datetime:
    return datetime.combine(_date(day), _NOON)


def _date(day: int) -> date:
    return EPOCH + timedelta(days=day)
