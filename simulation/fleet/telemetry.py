"""What a tracker of family F with OBD ids records of a day, as record columns.

Each start is three things: the ignition event (AVL 239, high priority) with the battery's rest voltage,
sampled before the starter turns; one second later the lowest voltage of the dip, if the device saw it; then a
record every few seconds until the ignition goes off, which is an event again. Parked: one record an hour.

| element | on |
|---|---|
| 239 ignition, 240 movement, 66 external voltage, 16 total odometer | every record |
| 48 fuel level, 53 ambient temperature | ignition on, and the event that ends it |
| 30 number of trouble codes, 281 their list | ignition events |

Coordinates are exact: no GNSS noise.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from simulation.device.encoding import IoColumn, RecordColumns, TextColumn
from simulation.device.records import Flags, Ints
from simulation.fleet.arrays import Floats, Stream, generator
from simulation.fleet.motion import Motion
from simulation.fleet.route import Loop
from simulation.fleet.trips import Trips
from telematics.clock import day_start, epoch_ms

IGNITION, MOVEMENT, EXTERNAL_VOLTAGE, TOTAL_ODOMETER = 239, 240, 66, 16
FUEL_LEVEL, AMBIENT, CODE_COUNT, CODE_LIST = 48, 53, 30, 281
CRANK_AFTER_MS: Final = 1_000
_HIGH_PRIORITY: Final = 1
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_DEGREE_UNITS: Final = 10_000_000
_KPH_PER_MPS: Final = 3.6
_FULL_CIRCLE: Final = 360
_SATELLITES: Final = (7, 14)
_BYTE: Final = 0xFF


@dataclass(frozen=True, slots=True, eq=False)
class RecordedDay:
    """All that the records of one car on one day are made from.

    Attributes:
        seed: of the fleet.
        number: of the car.
        day: in UTC.
        trips: that begin (and end) on it, in order.
        odometer_m: at the day's beginning.
        parked_mv: voltage of the parked car.
        fuel_pct: level at the day's beginning.
        codes: that are stored.
        period_ms: between two records while driving.
    """

    seed: int
    number: int
    day: date
    trips: Trips
    odometer_m: int
    parked_mv: int
    fuel_pct: int
    codes: tuple[str, ...]
    period_ms: int


def record_count(recorded: RecordedDay) -> int:
    """Records of a day, without making them."""
    return len(_times_ms(recorded)[0])


def telemetry_of_day(recorded: RecordedDay, loop: Loop) -> RecordColumns:
    """The day's records in the order of their time."""
    times_ms, trip = _times_ms(recorded)
    trips, count = recorded.trips, len(times_ms)
    is_trip = trip >= 0
    start_ms, end_ms = trips.start_s * 1000, (trips.start_s + trips.duration_s) * 1000
    is_start, is_end = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    is_start[is_trip] = times_ms[is_trip] == start_ms[trip[is_trip]]
    is_end[is_trip] = times_ms[is_trip] == end_ms[trip[is_trip]]
    is_on, is_event = is_trip & ~is_end, is_start | is_end
    way_m, speed_mps = _ways(recorded, times_ms, trip)
    latitude_deg, longitude_deg = loop.positions_deg(way_m)
    ordinal = recorded.day.toordinal()
    random = generator(recorded.seed, recorded.number, Stream.RECORDS, ordinal)
    speed_kph = np.rint(speed_mps * _KPH_PER_MPS).astype(np.int64)
    ambient = np.zeros(count, np.int64)
    ambient[is_trip] = trips.ambient_c[trip[is_trip]]
    return RecordColumns(
        timestamp_ms=epoch_ms(day_start(recorded.day)) + times_ms,
        priority=np.where(is_event, _HIGH_PRIORITY, 0),
        longitude_raw=_whole(longitude_deg * _DEGREE_UNITS),
        latitude_raw=_whole(latitude_deg * _DEGREE_UNITS),
        altitude_m=_whole(loop.altitudes_m(way_m)),
        angle_deg=_whole(loop.headings_deg(way_m)) % _FULL_CIRCLE,
        satellites=_satellites(count, random),
        speed_kph=speed_kph,
        event_io_id=np.where(is_event, IGNITION, 0),
        io=(
            _always(IGNITION, 1, is_on.astype(np.int64)),
            _always(MOVEMENT, 1, (speed_kph > 0).astype(np.int64)),
            IoColumn(CODE_COUNT, 1, np.full(count, len(recorded.codes)), is_event),
            IoColumn(FUEL_LEVEL, 1, np.full(count, recorded.fuel_pct), is_trip),
            IoColumn(AMBIENT, 1, ambient & _BYTE, is_trip),
            _always(EXTERNAL_VOLTAGE, 2, _voltages_mv(recorded, times_ms, trip, is_end)),
            _always(TOTAL_ODOMETER, 4, np.floor(way_m).astype(np.int64)),
        ),
        texts=(TextColumn(CODE_LIST, ",".join(recorded.codes).encode(), is_event),) if recorded.codes else (),
    )


def _times_ms(recorded: RecordedDay) -> tuple[Ints, Ints]:
    """Milliseconds after midnight of the day's records, ascending and each once; the trip of each, or -1."""
    trips, period = recorded.trips, recorded.period_ms
    times, owners = [], []
    # the cars of a fleet do not all report at the full hour
    hourly = np.arange(recorded.number * period % _HOUR_MS, _DAY_MS, _HOUR_MS)
    is_parked = np.ones(len(hourly), np.bool_)
    for place in range(len(trips)):
        start = int(trips.start_s[place]) * 1000
        end = start + int(trips.duration_s[place]) * 1000
        dip = [start + CRANK_AFTER_MS] if trips.is_crank_seen[place] else []
        own = np.array([start, *dip, *range(start + period, end, period), end], np.int64)
        times.append(own)
        owners.append(np.full(len(own), place))
        is_parked &= (hourly < start) | (hourly > end)
    parked = hourly[is_parked]
    all_times = np.concatenate([*times, parked]).astype(np.int64)
    all_owners = np.concatenate([*owners, np.full(len(parked), -1)]).astype(np.int64)
    order = np.argsort(all_times, kind="stable")
    return all_times[order], all_owners[order]


def _ways(recorded: RecordedDay, times_ms: Ints, trip: Ints) -> tuple[Floats, Floats]:
    """Total odometer in metres, and speed, at each time; at a trip's end the odometer is exact."""
    trips = recorded.trips
    before = recorded.odometer_m + np.concatenate(([0], np.cumsum(trips.distance_m)))
    ended = np.searchsorted((trips.start_s + trips.duration_s) * 1000, times_ms, "right")
    way_m = before[ended].astype(np.float64)
    speed_mps = np.zeros(len(times_ms))
    for place in range(len(trips)):
        rows = np.flatnonzero((trip == place) & (ended == place))
        if trips.is_failed[place]:
            continue
        motion = Motion.of_trip(
            generator(
                recorded.seed,
                recorded.number,
                Stream.MOTION,
                recorded.day.toordinal(),
                int(trips.start_s[place]),
            ),
            float(trips.duration_s[place]),
            float(trips.distance_m[place]),
        )
        since_s = times_ms[rows] / 1000 - float(trips.start_s[place])
        way_m[rows] += np.minimum(motion.distances_m(since_s), float(trips.distance_m[place]))
        speed_mps[rows] = motion.speeds_mps(since_s)
    return way_m, speed_mps


def _voltages_mv(recorded: RecordedDay, times_ms: Ints, trip: Ints, is_end: Flags) -> Ints:
    """Rest, dip, charge; the parked voltage as soon as the ignition is off."""
    trips = recorded.trips
    voltage = np.full(len(times_ms), recorded.parked_mv, np.int64)
    for place in range(len(trips)):
        since_ms = times_ms - int(trips.start_s[place]) * 1000
        own = (trip == place) & ~is_end
        running = trips.rest_mv[place] if trips.is_failed[place] else trips.charge_mv[place]
        voltage[own] = running
        voltage[own & (since_ms == 0)] = trips.rest_mv[place]
        if trips.is_crank_seen[place]:
            voltage[own & (since_ms == CRANK_AFTER_MS)] = trips.crank_mv[place]
    return voltage


def _satellites(count: int, random: np.random.Generator) -> Ints:
    """Comes and goes by one at a time, back from either limit."""
    lowest, highest = _SATELLITES
    span = highest - lowest
    walk = random.integers(0, span, endpoint=True) + np.cumsum(random.integers(-1, 1, count, endpoint=True))
    folded: Ints = np.abs((walk + span) % (2 * span) - span)
    return lowest + folded


def _always(avl_id: int, width: int, raw: Ints) -> IoColumn:
    return IoColumn(avl_id, width, raw, np.ones(len(raw), np.bool_))


def _whole(values: Floats) -> Ints:
    return np.rint(values).astype(np.int64)
