"""The columns that a history may fill: what kind each is, its limits, and the units it may come in.

Limits are those of posted readings (`ingest.stream.reading_fields`): wide enough for any vehicle, and inside
the column. Rows that bring their own `content_hash` were judged when they came in first and are not again.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

import pyarrow as pa

from ingest.stream.reading_fields import LOCATION_NUMBERS, NUMBERS
from telematics.units import METRES_PER_FOOT, METRES_PER_MILE
from warehouse.archive import layout

TIME: Final = "time"
DEVICE_ID: Final = "device_id"
VIN: Final = "vin"
RECEIVED_AT: Final = "received_at"
CONTENT_HASH: Final = "content_hash"
STREAM_POSITION: Final = "stream_position"
DTC_KNOWN: Final = "dtc_known"
ORIGIN: Final = "origin"
"""Worked out anew by every load; a history's own word on it is not asked."""

NO_STREAM_POSITION: Final = -1
"""Of rows that never were in the stream; a packed position is never negative."""


class Kind(Enum):
    """How a column's values are read."""

    NUMBER = auto()
    WHOLE = auto()
    FLAG = auto()
    SOURCE = auto()
    """One of the names in `ODOMETER_SOURCES`."""
    CODES = auto()
    """Trouble codes: a list, or text with separators between them."""
    JSON = auto()
    """An object as text."""


class Linear(NamedTuple):
    """A unit: what is stored is the value times `factor` plus `offset`."""

    factor: float
    offset: float = 0.0


AS_IT_IS: Final = Linear(1)


class Field(NamedTuple):
    """One column of `telemetry` that holds what a vehicle said."""

    name: str
    kind: Kind
    arrow_type: pa.DataType
    """As ClickHouse and the archive have it."""
    lowest: float = float("-inf")
    highest: float = float("inf")
    units: Mapping[str, Linear] = {}
    """By name, the column's own first; matched without regard to case."""


_MPH: Final = 1 / METRES_PER_MILE
_SPEEDS: Final = {
    "mph": Linear(1),
    "km/h": Linear(1000 * _MPH),
    "kph": Linear(1000 * _MPH),
    "m/s": Linear(3600 * _MPH),
    "kn": Linear(1852 * _MPH),
}
_HEIGHTS: Final = {"ft": Linear(1), "m": Linear(1 / METRES_PER_FOOT)}
_MILES: Final = {"mi": Linear(1), "km": Linear(1000 / METRES_PER_MILE), "m": Linear(1 / METRES_PER_MILE)}
_METRES: Final = {"m": Linear(1), "km": Linear(1000), "mi": Linear(METRES_PER_MILE)}
_VOLTS: Final = {"V": Linear(1), "mV": Linear(0.001)}
_DEGREES_C: Final = {
    "Cel": Linear(1),
    "°C": Linear(1),
    "degC": Linear(1),
    "°F": Linear(5 / 9, -160 / 9),
    "degF": Linear(5 / 9, -160 / 9),
    "K": Linear(1, -273.15),
}
_PERCENT: Final = {"%": Linear(1), "1": Linear(100)}
_ANGLES: Final = {"deg": Linear(1), "deg_e7": Linear(1e-7)}
_FLOWS: Final = {"g/s": Linear(1), "kg/h": Linear(1000 / 3600)}
_UNITS: Final[Mapping[str, Mapping[str, Linear]]] = {
    "lat": _ANGLES, "lng": _ANGLES, "heading": {"deg": Linear(1)}, "speed_mph": _SPEEDS,
    "altitude_ft": _HEIGHTS, "odometer": _MILES, "fuel_pct": _PERCENT, "engine_load_pct": _PERCENT,
    "fuel_trim_pct": _PERCENT, "hv_soc_pct": _PERCENT, "battery_v": _VOLTS, "crank_v": _VOLTS,
    "charge_v": _VOLTS, "coolant_c": _DEGREES_C, "ambient_c": _DEGREES_C, "maf_gps": _FLOWS,
    "rpm": {"rpm": Linear(1)}, "odometer_gnss_m": _METRES, "odometer_can_m": _METRES,
    "odometer_obd_m": _METRES,
}  # fmt: skip

_METRES_LIMIT: Final = 10_000_000 * METRES_PER_MILE
_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    **{number.name: (number.lowest, number.highest) for number in (*NUMBERS, *LOCATION_NUMBERS)},
    "battery_v": (0, 100),
    "crank_v": (0, 100),
    "charge_v": (0, 100),
    "priority": (0, 255),
    "hdop": (0, 10_000),
    "odometer_gnss_m": (0, _METRES_LIMIT),
    "odometer_can_m": (0, _METRES_LIMIT),
    "odometer_obd_m": (0, _METRES_LIMIT),
    "harsh_kind": (0, 255),
    "harsh_value": (-1000, 1000),
}
_APART: Final = frozenset(
    {TIME, DEVICE_ID, VIN, ORIGIN, DTC_KNOWN, RECEIVED_AT, CONTENT_HASH, STREAM_POSITION}
)


def _kind(field: pa.Field) -> Kind:
    if field.name == "dtc_codes":
        return Kind.CODES
    if field.name == "odometer_source":
        return Kind.SOURCE
    if field.name == "raw_data":
        return Kind.JSON
    if pa.types.is_boolean(field.type):
        return Kind.FLAG
    return Kind.WHOLE if pa.types.is_integer(field.type) else Kind.NUMBER


FIELDS: Final[Mapping[str, Field]] = {
    field.name: Field(
        field.name,
        _kind(field),
        field.type,
        *_LIMITS.get(field.name, (float("-inf"), float("inf"))),
        _UNITS.get(field.name, {}),
    )
    for field in layout.schema()
    if field.name not in _APART
}
"""What a vehicle said, by column, in the table's order."""

ODOMETER_SOURCES: Final = ("can", "obd", "gnss", "partner")
ODOMETER_SERIES: Final = (("odometer_can_m", "can"), ("odometer_obd_m", "obd"), ("odometer_gnss_m", "gnss"))
"""The three series, the most trustworthy first, as an installation chooses among them."""

OWN_COLUMNS: Final = frozenset(layout.schema().names)
"""Names that need no mapping."""
