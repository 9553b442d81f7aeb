"""A posted reading, and the check that makes one out of JSON: used by the API on requests and on messages."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from ingest.measurement import FIRST_TIME_MS
from ingest.stream.reading_fields import (
    DTC_CODES,
    FLAGS,
    LOCATION,
    LOCATION_NEEDED,
    LOCATION_NUMBERS,
    MAX_DTC_CODES,
    METRIC_NAMES,
    NUMBERS,
    ODOMETER_SOURCE,
    TIMESTAMP,
    FlagField,
    NumberField,
)
from telematics.clock import epoch_ms
from telematics.errors import PistonError
from telematics.names import OdometerSource

END_TIME_MS: Final = 4_102_444_800_000
"""2100-01-01T00:00Z, excluded: the last year of the hypertable."""

Value = float | int | bool | str | list[str] | dict[str, float]

# RFC 3339, with the time zone it demands; fromisoformat alone also takes weeks and local times
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# SAE J2012: system letter, four digits of which three are hexadecimal, failure type byte
_DTC: Final = re.compile(r"[PCBU][0-3][0-9A-F]{3}(?:-[0-9A-F]{2})?")
_LONGEST_NAME: Final = 64
_LARGEST_WHOLE: Final = 1 << 63
"""Larger ones do not become a float."""


class Fault(NamedTuple):
    """One thing wrong with a reading."""

    pointer: str
    """JSON Pointer (RFC 6901) into the reading."""
    reason: str
    """A short stable word."""
    detail: str


class ReadingRefusedError(PistonError):
    """What was posted is no reading; `faults` says why, everything at once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.pointer or '/'} {fault.detail}" for fault in self.faults))


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading that was checked."""

    vin: str
    """The vehicle it was posted for."""
    time_ms: int
    """The sender's time: milliseconds since the epoch, within the years 2000 to 2099."""
    fields: Mapping[str, Value]
    """Names and units of `ingest.stream.reading_fields`; what is not known is absent."""


def parse_reading(document: object, vin: str, *, is_metric: bool = False) -> Reading:
    """A reading out of decoded JSON.

    A null is the same as an absent field. A field that does not exist is refused: leaving it out would lose
    what the sender meant by it.

    Args:
        document: a JSON value.
        vin: the vehicle, well formed.
        is_metric: whether speed, altitude and odometer have their metric names and units.

    Raises:
        ReadingRefusedError: with every fault.
    """
    if not isinstance(document, dict):
        raise ReadingRefusedError([Fault("", "wrong_type", "must be an object")])
    faults: list[Fault] = []
    fields: dict[str, Value] = {}
    given = {name: value for name, value in document.items() if value is not None}
    time_ms = _parse_time(given.pop(TIMESTAMP, None), faults)
    for field in NUMBERS:
        metric = METRIC_NAMES.get(field.name) if is_metric else None
        name = field.name if metric is None else metric.name
        if (
            name in given
            and (number := _parse_number(given.pop(name), f"/{name}", field, faults, is_metric)) is not None
        ):
            fields[field.name] = number
    for flag in FLAGS:
        _parse_flag(given, flag, fields, faults)
    if LOCATION in given:
        fields |= _parse_location(given.pop(LOCATION), faults)
    if ODOMETER_SOURCE in given:
        fields |= _parse_odometer_source(given.pop(ODOMETER_SOURCE), faults)
    if DTC_CODES in given:
        fields |= _parse_dtc_codes(given.pop(DTC_CODES), faults)
    faults += (Fault(_pointer(str(name)), "unknown_field", "there is no such field") for name in given)
    if faults:
        raise ReadingRefusedError(faults)
    return Reading(vin, time_ms, fields)


def _pointer(*names: str) -> str:
    """A JSON Pointer; a stranger's name for a field is cut and made printable: it is answered and stored."""
    return "".join("/" + _shown(name).replace("~", "~0").replace("/", "~1") for name in names)


def _shown(name: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in name[:_LONGEST_NAME])


def _parse_time(given: object, faults: list[Fault]) -> int:
    pointer = f"/{TIMESTAMP}"
    if given is None:
        faults.append(Fault(pointer, "missing", "is needed"))
        return 0
    if not isinstance(given, str) or _MOMENT.fullmatch(given) is None:
        detail = "must be a moment with its zone as RFC 3339 writes it, such as 2025-12-06T06:55:00Z"
        faults.append(Fault(pointer, "bad_form", detail))
        return 0
    try:
        time_ms = epoch_ms(datetime.fromisoformat(given.upper()))
    except (ValueError, OverflowError):
        faults.append(Fault(pointer, "bad_form", "is no moment of the calendar"))
        return 0
    if not FIRST_TIME_MS <= time_ms < END_TIME_MS:
        faults.append(Fault(pointer, "time_out_of_range", "lies outside the years 2000 to 2099"))
    return time_ms


def _parse_number(
    given: object, pointer: str, field: NumberField, faults: list[Fault], is_metric: bool = False
) -> float | int | None:
    """The number in the blueprint's unit, or None and a fault."""
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        faults.append(Fault(pointer, "wrong_type", "must be a number"))
        return None
    lowest, highest = field.lowest, field.highest
    number = float(max(-_LARGEST_WHOLE, min(given, _LARGEST_WHOLE)))
    if is_metric and (metric := METRIC_NAMES.get(field.name)) is not None:
        lowest, highest = metric.to_metric(lowest), metric.to_metric(highest)
        number = metric.to_imperial(number)
    if not field.lowest <= number <= field.highest:
        faults.append(Fault(pointer, "out_of_range", f"must lie between {lowest:g} and {highest:g}"))
        return None
    if not field.is_whole:
        return number + 0.0  # -0.0 and 0.0 are one value and must be one text
    if not number.is_integer():
        faults.append(Fault(pointer, "not_whole", "must be a whole number"))
        return None
    return int(number)


def _parse_flag(
    given: dict[str, object], flag: FlagField, fields: dict[str, Value], faults: list[Fault]
) -> None:
    if flag.name not in given:
        return
    value = given.pop(flag.name)
    if isinstance(value, bool):
        fields[flag.name] = value
    else:
        faults.append(Fault(_pointer(flag.name), "wrong_type", "must be true or false"))


def _parse_location(given: object, faults: list[Fault]) -> dict[str, Value]:
    if not isinstance(given, dict):
        faults.append(Fault(_pointer(LOCATION), "wrong_type", "must be an object with lat and lng"))
        return {}
    left = {name: value for name, value in given.items() if value is not None}
    location: dict[str, float] = {}
    for field in LOCATION_NUMBERS:
        if field.name in left:
            number = _parse_number(left.pop(field.name), f"/{LOCATION}/{field.name}", field, faults)
            if number is not None:
                location[field.name] = number
        elif field.name in LOCATION_NEEDED:
            faults.append(Fault(_pointer(LOCATION, field.name), "missing", "is needed"))
    faults += (Fault(_pointer(LOCATION, name), "unknown_field", "there is no such field") for name in left)
    return {LOCATION: location}


def _parse_odometer_source(given: object, faults: list[Fault]) -> dict[str, Value]:
    if isinstance(given, str) and given in {source.value for source in OdometerSource}:
        return {ODOMETER_SOURCE: given}
    detail = "must be one of " + ", ".join(source.value for source in OdometerSource)
    faults.append(Fault(_pointer(ODOMETER_SOURCE), "bad_form", detail))
    return {}


def _parse_dtc_codes(given: object, faults: list[Fault]) -> dict[str, Value]:
    if not isinstance(given, list) or len(given) > MAX_DTC_CODES:
        detail = f"must be a list of at most {MAX_DTC_CODES} codes"
        faults.append(Fault(_pointer(DTC_CODES), "wrong_type", detail))
        return {}
    codes: list[str] = []
    for number, code in enumerate(given):
        if isinstance(code, str) and _DTC.fullmatch(code.upper()):
            codes.append(code.upper())
        else:
            detail = "must be a code of SAE J2012, such as P0300 or U0100-87"
            faults.append(Fault(_pointer(DTC_CODES, str(number)), "bad_form", detail))
    return {DTC_CODES: codes}
