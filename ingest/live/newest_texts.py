"""The newest records of a batch as live state keeps them: bytes equal to those of `ingest.live.state`.

Numbers become text in one call for a whole column: `orjson` writes a list of floats as fast as it is read,
and taken apart at the commas it is the text of each.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson

from ingest.alerts.packed import FIRST_ODOMETER
from ingest.alerts.packed_rules import BATTERY, DTC_NONE
from ingest.batch.decoder import DecodedFrames
from ingest.batch.layout import Column
from ingest.codec8.records import DEGREES_PER_UNIT
from ingest.live.element_parts import REALS
from ingest.live.measuring import WHOLE_SHIFT
from ingest.live.state import SIGNALS, Offer, rfc3339_second
from ingest.measurement import FULL_CIRCLE_DEG, accuracy_m
from ingest.sink.placing import SOURCES
from telematics.units import METRES_PER_FOOT, METRES_PER_MILE

_HDOP, _FUEL = REALS.index("hdop"), REALS.index("fuel_pct")
_SOURCE_NAMES: Final = tuple(source.value.encode() for source in SOURCES)
_POSITION: Final = (
    b'%d|{"lat":%b,"lng":%b,"accuracy_m":%b,"heading":%b,"altitude_ft":%b,"satellites":%d,"is_valid":true}'
)
_FLAGS: Final = (b"false", b"true")
_NULL: Final = b"null"
_NONE: Final = b"[]"
_CACHED: Final = 65_536


def build_offers(
    decoded: DecodedFrames,
    facts: Column,
    numbers: Column,
    reals: Column,
    received_at_ms: Column,
    newest: Column,
    oldest_ms: Column,
) -> list[Offer]:
    """The newest signals of each vehicle of a batch.

    Args:
        decoded: the batch.
        facts: as `measure_records` filled them, as the two that follow.
        numbers: see there.
        reals: see there.
        received_at_ms: of each frame.
        newest: as `find_newest` filled it.
        oldest_ms: as above.
    """
    batch = _Batch(decoded, facts, numbers, reals, received_at_ms)
    columns = [_column(newest[:, place], getattr(batch, name)) for name, place in SIGNALS.items()]
    values: Iterable[Sequence[bytes]] = zip(*columns, strict=True)
    return list(map(Offer, oldest_ms.tolist(), values))


def _column(newest: Column, write: Any) -> list[bytes]:
    """The values of one signal, one per vehicle; empty where there is none."""
    is_told = newest >= 0
    if is_told.all():
        found: list[bytes] = write(newest)
        return found
    values = [b""] * len(newest)
    places = np.flatnonzero(is_told)
    if len(places):
        for place, value in zip(places.tolist(), write(newest[places]), strict=True):
            values[place] = value
    return values


class _Batch:
    """Writes the values of records, a method for each signal of the same name."""

    def __init__(
        self, decoded: DecodedFrames, facts: Column, numbers: Column, reals: Column, received_at_ms: Column
    ) -> None:
        self._decoded = decoded
        self._records = decoded.records
        self._facts = facts
        self._numbers = numbers
        self._reals = reals
        self._received_at_ms = received_at_ms
        self._data = decoded.data.data

    def position(self, rows: Column) -> list[bytes]:
        records = self._records[rows]
        has_hdop = (self._facts["reals"][rows] >> _HDOP & 1).tolist()
        hdops = self._reals[rows, _HDOP].tolist()
        return [
            _POSITION
            % (
                time_ms,
                latitude,
                longitude,
                _accuracy(hdop) if is_known else _NULL,
                b"%d" % heading if heading <= FULL_CIRCLE_DEG else _NULL,
                altitude,
                satellites,
            )
            for time_ms, latitude, longitude, is_known, hdop, heading, altitude, satellites in zip(
                records["timestamp_ms"].tolist(),
                _texts(records["latitude_raw"] / DEGREES_PER_UNIT),
                _texts(records["longitude_raw"] / DEGREES_PER_UNIT),
                has_hdop,
                hdops,
                records["angle_deg"].tolist(),
                _texts(records["altitude_m"] / METRES_PER_FOOT),
                records["satellites"].tolist(),
                strict=True,
            )
        ]

    def speed_mph(self, rows: Column) -> list[bytes]:
        kph = self._records["speed_kph"][rows].astype(np.int64)
        return self._stamped(rows, _texts(kph * 1000 / METRES_PER_MILE))

    def odometer(self, rows: Column) -> list[bytes]:
        sources = self._facts["source"][rows]
        metres = self._numbers[rows, FIRST_ODOMETER + sources]
        return [
            b'%d|{"miles":%b,"source":"%b"}' % (time_ms, miles, _SOURCE_NAMES[source])
            for time_ms, miles, source in zip(
                self._times(rows), _texts(metres / METRES_PER_MILE), sources.tolist(), strict=True
            )
        ]

    def battery_voltage(self, rows: Column) -> list[bytes]:
        return self._real(rows, BATTERY)

    def fuel_pct(self, rows: Column) -> list[bytes]:
        return self._real(rows, _FUEL)

    def dtc_codes(self, rows: Column) -> list[bytes]:
        return self._stamped(rows, map(self._codes, self._facts["dtc"][rows].tolist()))

    def ignition(self, rows: Column) -> list[bytes]:
        return self._stamped(rows, [_FLAGS[flag] for flag in self._facts["ignition"][rows].tolist()])

    def seen(self, rows: Column) -> list[bytes]:
        received = self._received_at_ms[self._records["frame"][rows]].tolist()
        return [
            b'%d|{"received_at":"%b.%03dZ"}' % (time_ms, _second(at_ms // 1000), at_ms % 1000)
            for time_ms, at_ms in zip(self._times(rows), received, strict=True)
        ]

    def _times(self, rows: Column) -> list[int]:
        times: list[int] = self._records["timestamp_ms"][rows].tolist()
        return times

    def _stamped(self, rows: Column, texts: Iterable[bytes]) -> list[bytes]:
        return [b"%d|%b" % pair for pair in zip(self._times(rows), texts, strict=True)]

    def _real(self, rows: Column, column: int) -> list[bytes]:
        """A column of `reals`; a whole number is written as one."""
        values = self._reals[rows, column]
        is_whole = self._facts["reals"][rows] >> (column + WHOLE_SHIFT) & 1
        if is_whole.all():
            return self._stamped(rows, _texts(values.astype(np.int64)))
        texts = _texts(values)
        for place in np.flatnonzero(is_whole).tolist():
            texts[place] = b"%d" % int(values[place])
        return self._stamped(rows, texts)

    def _codes(self, place: int) -> bytes:
        if place == DTC_NONE:
            return _NONE
        element = self._decoded.elements[place]
        start = int(element["raw"])
        return _code_list(bytes(self._data[start : start + int(element["length"])]))


def _texts(column: Column) -> list[bytes]:
    """Each number of a column as JSON."""
    return orjson.dumps(column, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


@lru_cache(maxsize=_CACHED)
def _accuracy(hdop: float) -> bytes:
    return orjson.dumps(accuracy_m(hdop))


@lru_cache(maxsize=_CACHED)
def _code_list(text: bytes) -> bytes:
    """A plain list of trouble codes as JSON, as `measurement` reads it."""
    codes = text.rstrip(b"\0").decode("ascii").upper().split(",")
    return orjson.dumps([code for code in codes if code])


@lru_cache(maxsize=1024)
def _second(epoch_s: int) -> bytes:
    return rfc3339_second(epoch_s).encode("ascii")
