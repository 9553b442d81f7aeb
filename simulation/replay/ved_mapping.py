"""Rows of a recording → record columns: what is recorded goes out, the head's gaps are filled as documented.

`docs/replay.md` lists for partners and readers of the warehouse which values were recorded and which are
synthetic. Only IO elements that a row has are sent; a value that its field cannot hold is left out and
counted, never clamped.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from simulation.device.encoding import IoColumn, RecordColumns
from simulation.device.records import Flags, Ints
from simulation.replay.ved_recording import RecordingError, Trip

Floats = npt.NDArray[np.float64]

_DAY_NUM: Final = "DayNum"
_TIMESTAMP: Final = "Timestamp(ms)"
_LATITUDE: Final = "Latitude[deg]"
_LONGITUDE: Final = "Longitude[deg]"
_SPEED: Final = "Vehicle Speed[km/h]"
_HEAD_COLUMNS: Final = (_TIMESTAMP, _LATITUDE, _LONGITUDE, _SPEED)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A recorded column that an IO element carries: wire number = value × per_unit, rounded."""

    column: str
    avl_id: int
    width: int
    is_signed: bool
    per_unit: int


_MEASURED: Final = (
    _Measured("Engine RPM[RPM]", 36, 2, False, 1),
    _Measured("Absolute Load[%]", 31, 1, False, 1),
    _Measured("MAF[g/sec]", 40, 2, False, 100),
    _Measured("OAT[DegC]", 53, 1, True, 1),
    _Measured("Short Term Fuel Trim Bank 1[%]", 33, 1, True, 1),
    _Measured("HV Battery SOC[%]", 57, 1, False, 1),
)
_COLUMNS: Final = (*_HEAD_COLUMNS, *(measured.column for measured in _MEASURED))

TOTAL_ODOMETER_ID: Final = 16
TRIP_ID: Final = 250
_TRIP_START, _TRIP_STOP = 1, 0

MAX_STEP_MS: Final = 60_000
"""A step longer than this is a recorder's stall, not a drive at a known speed: no distance is counted."""
_DEGREE_UNITS: Final = 10_000_000
_FASTEST_KPH: Final = 1_000
"""Above, or below zero, a recording is damaged: distance is counted from speed."""
_SATELLITES: Final = 4
"""Synthetic: the fewest that give a position in space."""
_EXACT: Final = 2.0**53
_MS_PER_HOUR: Final = 3_600_000
_METRES_PER_KM: Final = 1000
_FULL_CIRCLE: Final = 360


@dataclass(frozen=True, slots=True)
class TripRows:
    """Rows of consecutive trips as numbers; NaN where a row has no value.

    Attributes:
        trips: the trips, in order.
        values: column name → one number per row, trips one behind the other.
        starts: index of each trip's first row, ascending.
    """

    trips: tuple[Trip, ...]
    values: dict[str, Floats]
    starts: Ints

    @property
    def row_count(self) -> int:
        """Rows of all trips."""
        return len(self.values[_TIMESTAMP])


def parse_trips(trips: Sequence[Trip], contents: Sequence[bytes]) -> TripRows:
    """The CSV files of consecutive trips, read in one go.

    Raises:
        RecordingError: a file has other columns, or a value that is no number.
    """
    header = contents[0][: contents[0].index(b"\n") + 1]
    for trip, content in zip(trips, contents, strict=True):
        if not content.startswith(header):
            message = f"{trip.name}: its header differs from that of the vehicle's other trips"
            raise RecordingError(message)
    text = header + b"".join(content[len(header) :] for content in contents)
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(text)),
            convert_options=pa_csv.ConvertOptions(
                include_columns=list(_COLUMNS), column_types=dict.fromkeys(_COLUMNS, pa.float64())
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        message = f"{trips[0].name} … {trips[-1].name}: not a VED trip file ({error})"
        raise RecordingError(message) from error
    counts = np.array([trip.row_count for trip in trips], np.int64)
    if table.num_rows != counts.sum():
        message = f"{trips[0].name} … {trips[-1].name}: blank or broken lines among the rows"
        raise RecordingError(message)
    values = {name: table.column(name).to_numpy() for name in _COLUMNS}
    return TripRows(tuple(trips), values, np.cumsum(counts) - counts)


class VedMapper:
    """Maps a vehicle's trips in order; what it carries from one to the next is the counted odometer.

    Args:
        offset_ms: added to every recorded time.
    """

    def __init__(self, offset_ms: int) -> None:
        self._offset_ms = offset_ms
        self._odometer_m = 0.0
        self.left_out: Counter[str] = Counter()
        """Recorded values that did not fit in their field, by column."""

    def map(self, rows: TripRows) -> RecordColumns:
        """The rows as records.

        Raises:
            RecordingError: a row has no time, or a speed that no car has.
        """
        trip_of_row = np.repeat(np.arange(len(rows.starts)), np.diff([*rows.starts, rows.row_count]))
        since_start_ms = _whole(rows, _TIMESTAMP)
        start_ms = np.array([trip.start_ms for trip in rows.trips], np.int64)[trip_of_row]
        speed_kph = _known_speed(rows.values[_SPEED], trip_of_row)
        if not ((speed_kph >= 0) & (speed_kph <= _FASTEST_KPH)).all():
            message = (
                f"{rows.trips[0].name} … {rows.trips[-1].name}: a speed outside 0 to {_FASTEST_KPH} km/h"
            )
            raise RecordingError(message)
        latitude, longitude = rows.values[_LATITUDE], rows.values[_LONGITUDE]
        has_fix = np.isfinite(latitude) & np.isfinite(longitude)
        is_start = np.zeros(rows.row_count, np.bool_)
        is_start[rows.starts] = True
        is_end = np.roll(is_start, -1) & ~is_start
        odometer_m = self._count_odometer(since_start_ms, speed_kph, is_start)
        zeros = np.zeros(rows.row_count, np.int64)
        return RecordColumns(
            timestamp_ms=start_ms + since_start_ms + self._offset_ms,
            priority=zeros,
            longitude_raw=_rounded(np.where(has_fix, longitude, 0.0) * _DEGREE_UNITS),
            latitude_raw=_rounded(np.where(has_fix, latitude, 0.0) * _DEGREE_UNITS),
            altitude_m=zeros,
            angle_deg=angles_deg(latitude, longitude, trip_of_row),
            satellites=np.where(has_fix, _SATELLITES, 0),
            speed_kph=_rounded(speed_kph),
            event_io_id=np.where(is_start | is_end, TRIP_ID, 0),
            io=(
                IoColumn(TRIP_ID, 1, np.where(is_start, _TRIP_START, _TRIP_STOP), is_start | is_end),
                *(self._io_column(measured, rows.values[measured.column]) for measured in _MEASURED),
                IoColumn(TOTAL_ODOMETER_ID, 4, odometer_m, np.ones(rows.row_count, np.bool_)),
            ),
        )

    def _count_odometer(self, since_start_ms: Ints, speed_kph: Floats, is_start: Flags) -> Ints:
        """Metres driven so far at each row, counted from speed as a tracker without CAN does: trapezoids."""
        step_ms = np.diff(since_start_ms, prepend=since_start_ms[:1])
        mean_kph = (speed_kph + np.roll(speed_kph, 1)) / 2
        counts = ~is_start & (step_ms > 0) & (step_ms <= MAX_STEP_MS)
        step_m = np.where(counts, mean_kph * step_ms * (_METRES_PER_KM / _MS_PER_HOUR), 0.0)
        total_m = self._odometer_m + np.cumsum(step_m)
        self._odometer_m = float(total_m[-1])
        return total_m.astype(np.int64)

    def _io_column(self, measured: _Measured, values: Floats) -> IoColumn:
        is_recorded = np.isfinite(values)
        numbers = _rounded(np.where(is_recorded, values, 0.0) * measured.per_unit)
        bits = 8 * measured.width
        lowest, highest = (
            (-(1 << bits - 1), (1 << bits - 1) - 1) if measured.is_signed else (0, (1 << bits) - 1)
        )
        fits = (numbers >= lowest) & (numbers <= highest)
        left_out = int((is_recorded & ~fits).sum())
        if left_out:
            self.left_out[measured.column] += left_out
        return IoColumn(measured.avl_id, measured.width, numbers & ((1 << bits) - 1), is_recorded & fits)


def _whole(rows: TripRows, name: str) -> Ints:
    values = rows.values[name]
    if not np.isfinite(values).all():
        message = f"{rows.trips[0].name} … {rows.trips[-1].name}: a row without {name}"
        raise RecordingError(message)
    return _rounded(values)


def _rounded(values: Floats) -> Ints:
    # what no field can hold stays so, and inside what an integer can
    return np.rint(np.clip(values, -_EXACT, _EXACT)).astype(np.int64)


def _known_speed(speed_kph: Floats, trip_of_row: Ints) -> Floats:
    """The speeds, with the last known one of the same trip where a row has none.

    Before a trip's first known speed that one counts; a trip without any stood still as far as anyone knows.
    """
    if not np.isnan(speed_kph).any():
        return speed_kph
    filled = speed_kph.copy()
    for trip in np.unique(trip_of_row[np.isnan(speed_kph)]).tolist():
        span = np.flatnonzero(trip_of_row == trip)
        known = np.flatnonzero(~np.isnan(speed_kph[span]))
        if len(known):
            last_known = np.clip(np.searchsorted(known, np.arange(len(span)), "right") - 1, 0, None)
            filled[span] = speed_kph[span][known[last_known]]
        else:
            filled[span] = 0.0
    return filled


def angles_deg(latitude: Floats, longitude: Floats, trip_of_row: Ints) -> Ints:
    """Heading at each row, whole degrees clockwise from north, 0 to 359.

    The recorders kept no heading. A fix changes only every few seconds, so it is the great circle's bearing
    from the distinct fix before to the present one, within the same trip; up to a trip's second fix the
    bearing that follows; 0 in a trip that never moves.
    """
    count = len(latitude)
    is_new = np.ones(count, np.bool_)
    is_new[1:] = (np.diff(latitude) != 0) | (np.diff(longitude) != 0) | (np.diff(trip_of_row) != 0)
    rows = np.flatnonzero(is_new)
    trips = trip_of_row[rows]
    bearing = np.zeros(len(rows))
    same_trip = trips[1:] == trips[:-1]
    if same_trip.any():
        before, after = rows[:-1][same_trip], rows[1:][same_trip]
        bearing[1:][same_trip] = _bearings_deg(
            latitude[before], longitude[before], latitude[after], longitude[after]
        )
        is_first = np.concatenate(([True], ~same_trip))
        has_next = np.concatenate((same_trip, [False]))
        begins = np.flatnonzero(is_first & has_next)
        bearing[begins] = bearing[begins + 1]
    whole = np.rint(np.nan_to_num(bearing)).astype(np.int64) % _FULL_CIRCLE
    angles: Ints = whole[np.cumsum(is_new) - 1]
    return angles


def _bearings_deg(lat1: Floats, lng1: Floats, lat2: Floats, lng2: Floats) -> Floats:
    """Initial great-circle bearings, degrees in [0, 360)."""
    phi1, phi2, delta = np.radians(lat1), np.radians(lat2), np.radians(lng2 - lng1)
    east = np.sin(delta) * np.cos(phi2)
    north = np.cos(phi1) * np.sin(phi2) - np.sin(phi1) * np.cos(phi2) * np.cos(delta)
    bearings: Floats = np.degrees(np.arctan2(east, north)) % _FULL_CIRCLE
    return bearings
