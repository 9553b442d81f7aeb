"""Day signals from trips: the columns of `component_day_signals`, by the same definitions as dbt's.

A voltage from 13.2 V on is none of rest; the dip is the lowest voltage of the five seconds after a start,
seen if it lies below the rest voltage; a trip's charging voltage is taken from a minute on. Voltages pass
through float32, because that is what the telemetry columns keep; means are of doubles, to the microvolt.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from simulation.fleet.arrays import Flags, Floats, Ints
from simulation.fleet.cars import make_car
from simulation.fleet.life import Life
from simulation.fleet.parameters import EPOCH, Parameters
from simulation.fleet.trips import Trips
from simulation.fleet.trouble_codes import code_names, codes_of
from telematics.names import Origin

SHORT_TRIP_S: Final = 600
CHARGE_AFTER_S: Final = 60
REST_BELOW_V: Final = 13.2
_DECIMALS: Final = 6
_MV: Final = 1_000.0
_UNIX_EPOCH_DAYS: Final = EPOCH.toordinal() - 719_163
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000

SIGNAL_SCHEMA: Final = pa.schema(
    [
        ("vin", pa.string()),
        ("date", pa.date32()),
        ("origin", pa.string()),
        ("known_at", pa.timestamp("ms", tz="UTC")),
        ("start_count", pa.uint16()),
        ("crank_count", pa.uint16()),
        ("crank_min_v", pa.float64()),
        ("crank_mean_v", pa.float64()),
        ("rest_v", pa.float64()),
        ("rest_min_v", pa.float64()),
        ("charge_v", pa.float64()),
        ("charge_min_v", pa.float64()),
        ("ambient_c", pa.float64()),
        ("engine_on_s", pa.float64()),
        ("short_trip_count", pa.uint16()),
        ("distance_m", pa.float64()),
        ("dtc_codes", pa.list_(pa.string())),
        ("dtc_known", pa.bool_()),
    ]
)


def vins_of(life: Life) -> list[str]:
    """VINs of the cars, in their order."""
    return [make_car(life.profiles.seed, number).vin for number in life.profiles.numbers]


def dates(days: Ints) -> pa.Array:
    """Days since the epoch as Arrow dates."""
    return pa.array((days + _UNIX_EPOCH_DAYS).astype(np.int32), pa.date32())


def day_signals(life: Life, trips: Trips, first_day: int, parameters: Parameters) -> pa.Table:
    """One row per car and day of which the device said anything, by car and day.

    Args:
        life: of the cars.
        trips: of the days from the first one on.
        first_day: days since the epoch.
        parameters: of the fleet.
    """
    days = life.days - first_day
    cell = trips.car * days + trips.day - first_day
    has_row = ~life.is_silent[first_day:].T.ravel()
    car, day = np.divmod(np.flatnonzero(has_row), days)
    day = day + first_day
    size = days * len(life.profiles)
    rest_v, dip_v, charge_v = (
        _volts(trips.rest_mv),
        _lowest_v(trips),
        _volts(trips.charge_mv).round(_DECIMALS),
    )
    has_rest = rest_v < REST_BELOW_V
    has_dip = has_rest & (dip_v < rest_v)
    has_charge = ~trips.is_failed & (trips.duration_s > CHARGE_AFTER_S)

    def kept(values: Floats | Ints) -> Floats | Ints:
        return values[has_row]

    starts = np.bincount(cell, minlength=size)
    cranks = _mean_and_min(cell, dip_v, has_dip, size)
    rests = _mean_and_min(cell, rest_v, has_rest, size)
    charges = _mean_and_min(cell, charge_v, has_charge, size)
    ambient, _ = _mean_and_min(cell, trips.ambient_c.astype(np.float64), np.ones(len(trips), np.bool_), size)
    is_known = kept(starts) > 0
    driven = np.diff(life.odometer_m[first_day:], axis=0).T.ravel()
    columns = [
        pa.DictionaryArray.from_arrays(car, pa.array(vins_of(life))).cast(pa.string()),
        dates(day),
        pa.array([Origin.SIMULATED.value]).take(pa.array(np.zeros(len(day), np.int8))),
        _known_at(day, parameters.device.modelled_lag_h),
        pa.array(kept(starts), pa.uint16()),
        pa.array(kept(np.bincount(cell, has_dip, size)).astype(np.uint16)),
        _nullable(kept(cranks[1])),
        _nullable(kept(cranks[0])),
        _nullable(kept(rests[0])),
        _nullable(kept(rests[1])),
        _nullable(kept(charges[0])),
        _nullable(kept(charges[1])),
        _nullable(kept(ambient)),
        pa.array(kept(np.bincount(cell, trips.duration_s, size)).astype(np.float64)),
        pa.array(kept(np.bincount(cell, trips.duration_s < SHORT_TRIP_S, size)).astype(np.uint16)),
        pa.array(kept(driven).astype(np.float64)),
        _code_lists(np.where(is_known, life.codes[day, car], 0), code_names(parameters.codes)),
        pa.array(is_known),
    ]
    return pa.Table.from_arrays(columns, schema=SIGNAL_SCHEMA)


def _lowest_v(trips: Trips) -> Floats:
    """Of all that the device recorded in the seconds after the start: the dip, and what ran after it."""
    running = np.where(trips.is_failed, trips.rest_mv, trips.charge_mv)
    return _volts(np.where(trips.is_crank_seen, np.minimum(trips.crank_mv, running), running))


def _volts(millivolts: Ints) -> Floats:
    return (millivolts / _MV).astype(np.float32).astype(np.float64)


def _mean_and_min(cell: Ints, values: Floats, counted: Flags, size: int) -> tuple[Floats, Floats]:
    """Mean and smallest of the counted values of each cell; NaN where there is none."""
    cell, values = cell[counted], values[counted]
    with np.errstate(invalid="ignore"):
        mean = (np.bincount(cell, values, size) / np.bincount(cell, minlength=size)).round(_DECIMALS)
    smallest = np.full(size, np.nan)
    if len(cell):
        begins = np.flatnonzero(np.diff(cell, prepend=-1))
        smallest[cell[begins]] = np.minimum.reduceat(values, begins)
    return mean, smallest


def _known_at(day: Ints, lag_h: int) -> pa.Array:
    moments = (day + _UNIX_EPOCH_DAYS + 1) * _DAY_MS + lag_h * _HOUR_MS
    return pa.array(moments, pa.timestamp("ms", tz="UTC"))


def _nullable(values: Floats | Ints) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)


def _code_lists(bits: Ints, names: tuple[str, ...]) -> pa.Array:
    found, place = np.unique(bits, return_inverse=True)
    lists = pa.array([list(codes_of(int(each), names)) for each in found], pa.list_(pa.string()))
    return lists.take(pa.array(place))
