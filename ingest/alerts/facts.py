"""What a measured record says to the alert rules.

The meaning of an AVL id is the dictionary's, by the device's family: 252 is unplugging on an FMB120 and
"authorized driving" on an FMB640, and only the first is an alert.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from ingest.alerts.alert import Finding, Kind
from ingest.alerts.rules import DTC, ODOMETER, PRESENT_V, READ_VIN, VOLTAGE, Facts
from ingest.codec8.records import AvlRecord
from ingest.measurement import ODOMETER_COLUMNS, Measurement
from telematics import vin as vin_form
from telematics.avl import dictionary

Raw = int | bytes

HARSH_CODES: Final = {1: "acceleration", 2: "braking", 3: "cornering"}
"""AVL 253."""
CRASHES: Final = frozenset({1, 6})
"""AVL 247: a real crash, by a calibrated device or not. 2 to 5 mark the traces that follow one."""

_ODOMETERS: Final = tuple(
    (f"{ODOMETER}:{source.value}", column) for source, column in ODOMETER_COLUMNS.items()
)
_VIN_PARTS: Final = {233: 8, 234: 8, 235: 1}
"""AVL id → characters, in the order of the VIN (parts 1 to 3 of the vendor's FMX640 AVL ID list)."""
_VIN_IN_PARTS: Final = 233
"""Names the signal of all three."""
_PADDING: Final = "\0 \t\r\n"
_HUNDREDTHS: Final = 100
_CORNERING: Final = 3


class _Reading:
    """Facts of one record under construction."""

    __slots__ = ("events", "record", "signals", "vin_parts")

    def __init__(self, record: AvlRecord | None) -> None:
        self.record = record
        self.signals: list[tuple[str, Any]] = []
        self.events: list[Finding] = []
        self.vin_parts: dict[int, bytes] | None = None


def _level(kind: Kind) -> Callable[[_Reading, int, Raw], None]:
    def read(reading: _Reading, avl_id: int, raw: Raw) -> None:
        if raw not in (0, 1):
            return
        is_event = reading.record is not None and reading.record.event_io_id == avl_id
        reading.signals.append((kind.value, (bool(raw), is_event)))
        if raw and is_event:
            reading.events.append(Finding(kind, kind.value, {}))

    return read


def _crash(reading: _Reading, _avl_id: int, raw: Raw) -> None:
    if raw in CRASHES:
        reading.events.append(Finding(Kind.CRASH, str(raw), {}))


def _vin(reading: _Reading, avl_id: int, raw: Raw) -> None:
    """A VIN as text: in any case, with NUL or blank padding around it.

    A bus that is half awake says anything. Only what then has a VIN's form contradicts the registry: text
    that is cut short, has NUL or blanks inside, or I, O or Q (in no VIN, ISO 3779) is a misreading.
    """
    if not isinstance(raw, bytes):
        return
    text = raw.decode("latin-1").strip(_PADDING).upper()
    if vin_form.is_well_formed(text):
        reading.signals.append((f"{READ_VIN}:{avl_id}", text))


def _vin_part(reading: _Reading, avl_id: int, raw: Raw) -> None:
    """A part of a VIN: characters in the bytes of a number, the first in the highest byte.

    That order is inferred from the wire, where every number comes so; the list of ids does not tell it.
    Parts of different records are never put together: between them the tracker may have changed cars.
    """
    if not isinstance(raw, int):
        return
    parts = reading.vin_parts = reading.vin_parts or {}
    parts[avl_id] = raw.to_bytes(_VIN_PARTS[avl_id], "big")
    if len(parts) == len(_VIN_PARTS):
        _vin(reading, _VIN_IN_PARTS, b"".join(parts[part] for part in _VIN_PARTS))


_READERS: Final[Mapping[tuple[int, str], Callable[[_Reading, int, Raw], None]]] = {
    (233, "vin_part_1"): _vin_part,
    (234, "vin_part_2"): _vin_part,
    (235, "vin_part_3"): _vin_part,
    (246, "towing"): _level(Kind.TOWING),
    (247, "crash_detection"): _crash,
    (252, "unplug"): _level(Kind.UNPLUG),
    (256, "vin"): _vin,
    (325, "vin_can"): _vin,
}
"""(AVL id, the dictionary's name for it) → reader. The name has to agree, too."""

Readers = Mapping[tuple[int, int], Callable[[_Reading, int, Raw], None]]


@cache
def readers_of(family: str | None) -> Readers:
    """(AVL id, wire width) → reader, for a Teltonika family; none where the family is not known."""
    if family is None:
        return {}
    return {
        key: reader
        for key, element in dictionary.elements(family).items()
        if (reader := _READERS.get((element.id, element.name))) is not None
    }


def facts_of(record: AvlRecord, measured: Measurement, vin: str, readers: Readers) -> Facts:
    """What the rules need of a record of a vehicle.

    Args:
        record: as decoded.
        measured: its columns.
        vin: registered for the device at the record's time.
        readers: of the device's family.
    """
    reading = _Reading(record)
    for avl_id, width, raw in record.io:
        reader = readers.get((avl_id, width))
        if reader is not None:
            reader(reading, avl_id, raw)
    _read_columns(reading, measured)
    return Facts(record.timestamp_ms, vin, reading.signals, reading.events)


def facts_of_reading(time_ms: int, measured: Measurement, vin: str) -> Facts:
    """What the rules need of a posted reading of a vehicle: trouble codes, voltage, a device's odometers.

    Args:
        time_ms: the reading's.
        measured: its columns.
        vin: of the vehicle.
    """
    reading = _Reading(None)
    _read_columns(reading, measured)
    return Facts(time_ms, vin, reading.signals, reading.events)


def _read_columns(reading: _Reading, measured: Measurement) -> None:
    if "dtc_codes" in measured:
        reading.signals.append((DTC, measured["dtc_codes"]))
    volts = measured.get("battery_v")
    if isinstance(volts, (int, float)) and volts >= PRESENT_V:
        reading.signals.append((VOLTAGE, volts))
    for name, column in _ODOMETERS:
        if column in measured:
            reading.signals.append((name, measured[column]))
    kind = measured.get("harsh_kind")
    if isinstance(kind, int) and kind in HARSH_CODES:
        reading.events.append(Finding(Kind.HARSH_EVENT, HARSH_CODES[kind], _harsh_detail(kind, measured)))


def _harsh_detail(kind: int, measured: Measurement) -> dict[str, object]:
    """AVL 254: hundredths of g when accelerating or braking; cornering is an angle whose unit varies."""
    value = measured.get("harsh_value")
    detail: dict[str, object] = {"value_raw": value}
    if isinstance(value, (int, float)) and kind != _CORNERING:
        detail["value_g"] = value / _HUNDREDTHS
    return detail
