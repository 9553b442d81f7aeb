"""What a tracker of family F records of a day, as record columns.

Driving: a record every few seconds; the first and the last of a trip are ignition events (AVL 239, high
priority). Parked: one record an hour. Every record has ignition (239), movement (240), external voltage (66)
and total odometer (16). Coordinates are exact: no GNSS noise yet.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from simulation.device.encoding import IoColumn, RecordColumns
from simulation.device.records import Flags, Ints
from simulation.fleet.cars import Car
from simulation.fleet.day import CarDay
from telematics.clock import day_start, epoch_ms

Floats = npt.NDArray[np.float64]

_IGNITION, _MOVEMENT, _EXTERNAL_VOLTAGE, _TOTAL_ODOMETER = 239, 240, 66, 16
_HIGH_PRIORITY: Final = 1
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_DEGREE_UNITS: Final = 10_000_000
_KPH_PER_MPS: Final = 3.6
_FULL_CIRCLE: Final = 360
_SATELLITES: Final = (7, 14)
_ALTERNATOR_MV: Final = (13_850.0, 14_350.0)
_BATTERY_MV: Final = (12_450.0, 12_750.0)
_RIPPLE_MV: Final = 40.0


def record_count(car: Car, plan: CarDay) -> int:
    """Records of a day, without making them."""
    return len(_times_ms(car, plan))


def telemetry_of_day(car: Car, plan: CarDay, driven_m: float) -> RecordColumns:
    """The day's records in the order of their time.

    Args:
        car: that drives.
        plan: its day.
        driven_m: way made since the fleet's first day, before this one.
    """
    times_ms = _times_ms(car, plan)
    count = len(times_ms)
    way_m = np.full(count, driven_m, np.float64)
    speed_mps = np.zeros(count)
    is_on, is_event = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for trip in plan.trips:
        since_s = (times_ms - trip.start_ms) / 1000
        way_m += trip.motion.distances_m(since_s)
        speed_mps += trip.motion.speeds_mps(since_s)
        is_on |= (times_ms >= trip.start_ms) & (times_ms < trip.end_ms)
        is_event |= (times_ms == trip.start_ms) | (times_ms == trip.end_ms)
    latitude_deg, longitude_deg = car.loop.positions_deg(way_m)
    random = car.random_of_records(plan.day.toordinal())
    speed_kph = _rounded(speed_mps * _KPH_PER_MPS)
    return RecordColumns(
        timestamp_ms=epoch_ms(day_start(plan.day)) + times_ms,
        priority=np.where(is_event, _HIGH_PRIORITY, 0),
        longitude_raw=_rounded(longitude_deg * _DEGREE_UNITS),
        latitude_raw=_rounded(latitude_deg * _DEGREE_UNITS),
        altitude_m=_rounded(car.loop.altitudes_m(way_m)),
        angle_deg=_rounded(car.loop.headings_deg(way_m)) % _FULL_CIRCLE,
        satellites=_satellites(count, random),
        speed_kph=speed_kph,
        event_io_id=np.where(is_event, _IGNITION, 0),
        io=(
            _always(_IGNITION, 1, is_on.astype(np.int64)),
            _always(_MOVEMENT, 1, (speed_kph > 0).astype(np.int64)),
            _always(_EXTERNAL_VOLTAGE, 2, _voltage_mv(is_on, random)),
            _always(_TOTAL_ODOMETER, 4, (car.start_odometer_m + way_m).astype(np.int64)),
        ),
    )


def _times_ms(car: Car, plan: CarDay) -> Ints:
    """Milliseconds after midnight of the day's records, ascending and each once."""
    trips = [
        np.append(np.arange(trip.start_ms, trip.end_ms, car.period_ms), trip.end_ms) for trip in plan.trips
    ]
    # the cars of a fleet do not all report at the full hour
    hourly = np.arange(car.number * car.period_ms % _HOUR_MS, _DAY_MS, _HOUR_MS)
    is_parked = np.ones(len(hourly), np.bool_)
    for trip in plan.trips:
        is_parked &= (hourly < trip.start_ms) | (hourly > trip.end_ms)
    return np.sort(np.concatenate([*trips, hourly[is_parked]])).astype(np.int64)


def _satellites(count: int, random: np.random.Generator) -> Ints:
    """Comes and goes by one at a time, back from either limit."""
    lowest, highest = _SATELLITES
    span = highest - lowest
    walk = random.integers(0, span, endpoint=True) + np.cumsum(random.integers(-1, 1, count, endpoint=True))
    folded: Ints = np.abs((walk + span) % (2 * span) - span)
    return lowest + folded


def _voltage_mv(is_on: Flags, random: np.random.Generator) -> Ints:
    """What the alternator holds while the engine runs, else what the battery rests at."""
    charging, resting = random.uniform(*_ALTERNATOR_MV), random.uniform(*_BATTERY_MV)
    return _rounded(np.where(is_on, charging, resting) + random.uniform(-_RIPPLE_MV, _RIPPLE_MV, len(is_on)))


def _always(avl_id: int, width: int, raw: Ints) -> IoColumn:
    return IoColumn(avl_id, width, raw, np.ones(len(raw), np.bool_))


def _rounded(values: Floats) -> Ints:
    return np.rint(values).astype(np.int64)
