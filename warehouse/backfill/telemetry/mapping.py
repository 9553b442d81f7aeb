"""What a foreign history's columns are, read from a TOML file (`piston backfill PATH --mapping FILE`).

docs/backfill.md is the reference. A mapping is checked whole before a file is opened: an entry that is not
known, a unit that a column does not have, or a constant of the wrong kind refuses it.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NoReturn
from zoneinfo import ZoneInfo

from telematics import vin as vin_form
from telematics.clock import epoch_ms
from warehouse.backfill.telemetry import fields
from warehouse.backfill.telemetry.errors import MappingError
from warehouse.backfill.telemetry.fields import FIELDS, Kind, Linear

MAX_BYTES: Final = 16 << 20
"""A table of a million vehicles would be larger; then the file itself has a column of VINs."""
DEFAULT_SOURCE: Final = "history"
DEFAULT_NULLS: Final = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N")

_SOURCE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNIT_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}


class TimeForm(StrEnum):
    """How a column says when."""

    RFC3339 = "rfc3339"
    """Text with an offset or Z, or a column that is a time by its type."""
    LOCAL = "local"
    """Text without an offset, or a time by its type without a zone; `zone` says which it is."""
    SINCE = "since"
    """A number: so many `unit`s after `since`."""


_EPOCHS: Final = {"epoch_s": "s", "epoch_ms": "ms", "epoch_us": "us"}


@dataclass(frozen=True, slots=True)
class Span:
    """A column of numbers that are a length of time."""

    column: str
    unit_ms: float


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """Where a moment is read."""

    column: str
    form: TimeForm = TimeForm.RFC3339
    zone: str = "UTC"
    pattern: str | None = None
    """strptime, for local times that are not ISO 8601."""
    is_first_of_two: bool = True
    """Of the hour that clocks repeat in autumn, the first."""
    since_ms: int = 0
    unit_ms: float = 1.0
    plus: Span | None = None
    """Added to it."""


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """Where a column's values are read."""

    target: str
    column: str
    unit: Linear = fields.AS_IT_IS


@dataclass(frozen=True, slots=True)
class FileMapping:
    """Everything a file's columns are read by."""

    time: TimeColumn
    values: tuple[ValueColumn, ...]
    source: str = DEFAULT_SOURCE
    vin: str | None = None
    device_id: str | None = None
    vins: Mapping[str, str] | None = None
    """What the vehicle's column says → VIN."""
    constants: tuple[tuple[str, Any], ...] = ()
    received_at: TimeColumn | None = None
    content_hash: str | None = None
    stream_position: str | None = None
    dtc_known: str | None = None
    ignored: frozenset[str] = frozenset()
    """Columns that are known and not read."""
    keeps_unknown: bool = False
    leaves_out: bool = False
    """A value out of range is nothing, and its row loads; else its row is set aside."""
    nulls: tuple[str, ...] = DEFAULT_NULLS
    delimiter: str | None = None

    @property
    def columns(self) -> list[str]:
        """Every column that is read, once."""
        times = [each for each in (self.time, self.received_at) if each]
        names = [
            *(each.column for each in times),
            *(each.plus.column for each in times if each.plus),
            self.vin,
            self.device_id,
            *(value.column for value in self.values),
            self.content_hash,
            self.stream_position,
            self.dtc_known,
        ]
        return list(dict.fromkeys(name for name in names if name is not None))

    @property
    def needed(self) -> list[str]:
        """Columns that a file cannot do without; of vehicle and device one is enough."""
        return [self.time.column, *([self.time.plus.column] if self.time.plus else [])]


def own_mapping(names: Collection[str]) -> FileMapping:
    """The mapping of a file whose columns have our names: an archive's, or the hypertable's."""

    def maybe(name: str) -> str | None:
        return name if name in names else None

    return FileMapping(
        time=TimeColumn(fields.TIME),
        values=tuple(ValueColumn(name, name) for name in FIELDS if name in names),
        vin=maybe(fields.VIN),
        device_id=maybe(fields.DEVICE_ID),
        received_at=TimeColumn(fields.RECEIVED_AT) if fields.RECEIVED_AT in names else None,
        content_hash=maybe(fields.CONTENT_HASH),
        stream_position=maybe(fields.STREAM_POSITION),
        dtc_known=maybe(fields.DTC_KNOWN),
        ignored=frozenset({fields.ORIGIN}),
    )


def load_mapping(path: Path) -> tuple[FileMapping, bytes]:
    """The mapping in a file, and the file's bytes, which are a part of what a load is.

    Raises:
        MappingError: there is none, or an entry of it cannot be followed.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            message = f"mapping {path} is larger than {MAX_BYTES:,} bytes; give the history a column of VINs"
            raise MappingError(message)
        content = path.read_bytes()
    except OSError as error:
        message = f"mapping {path} cannot be read ({error.strerror or type(error).__name__})"
        raise MappingError(message) from error
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"mapping {path} is no TOML: {error}"
        raise MappingError(message) from error
    return parse_mapping(document), content


def parse_mapping(document: Mapping[str, Any]) -> FileMapping:
    """The mapping that a TOML document describes.

    Raises:
        MappingError: an entry cannot be followed; the message names it.
    """
    top = _Table(document, "the mapping")
    source = top.text("source", DEFAULT_SOURCE) or DEFAULT_SOURCE
    if not _SOURCE.fullmatch(source):
        top.refuse("source", "it is 1 to 64 letters, digits, dots, underscores or hyphens")
    vehicle = top.table("vehicle")
    vin, device_id = vehicle.text("vin"), vehicle.text("device_id")
    if vin is None and device_id is None:
        vehicle.refuse("vin", "name the column of the VIN, or of the device_id")
    vins = _vins(vehicle)
    vehicle.end()
    mapping = FileMapping(
        source=source,
        time=_time(top.table("time")),
        vin=vin,
        device_id=device_id,
        vins=vins,
        values=_values(top.table("columns", is_needed=False)),
        constants=_constants(top.table("constants", is_needed=False)),
        received_at=_time(top.table("received_at")) if "received_at" in document else None,
        keeps_unknown=top.choice("unknown_columns", ("ignore", "keep")) == "keep",
        leaves_out=top.choice("out_of_range", ("set_aside", "leave_out")) == "leave_out",
        nulls=_nulls(top),
        delimiter=_delimiter(top),
    )
    top.end()
    twice = {value.target for value in mapping.values} & {name for name, _ in mapping.constants}
    if twice:
        top.refuse("constants", f"{', '.join(sorted(twice))} is a column already")
    return mapping


class _Table:
    """A TOML table that knows its place, and which of its entries were asked for."""

    def __init__(self, content: Mapping[str, Any], place: str) -> None:
        self.content = content
        self.place = place
        self.asked: set[str] = set()

    def refuse(self, name: str, reason: str) -> NoReturn:
        message = f"{self.place}, {name}: {reason} (docs/backfill.md has the reference)"
        raise MappingError(message)

    def get(self, name: str) -> Any:
        self.asked.add(name)
        return self.content.get(name)

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or not value:
            self.refuse(name, "it has to be a text")
        return str(value)

    def column(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            self.refuse(name, "it is missing; name a column of the files")
        return str(value)

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in choices:
            self.refuse(name, f"it is one of {', '.join(choices)}")
        return value

    def table(self, name: str, *, is_needed: bool = True) -> "_Table":
        value = self.get(name)
        if value is None and is_needed:
            self.refuse(name, "it is missing")
        if not isinstance(value if value is not None else {}, Mapping):
            self.refuse(name, "it has to be a table")
        return _Table(value or {}, f"[{name}]")

    def end(self) -> None:
        """Refuse what nobody asked for: a typing error must not be silent."""
        if unknown := sorted(set(self.content) - self.asked):
            self.refuse(unknown[0], "no such entry")


def _time(table: _Table) -> TimeColumn:
    column = table.column("column")
    form = table.choice("format", (*TimeForm, *_EPOCHS)) or TimeForm.RFC3339
    zone = table.text("zone") or "UTC"
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        table.refuse("zone", "no such zone; use a name of the IANA database such as Europe/Berlin")
    pattern = table.text("pattern")
    ambiguous = table.choice("ambiguous", ("first", "second"))
    since, unit = _moment(table, "since"), table.choice("unit", _UNIT_MS)
    plus = None
    if table.get("plus") is not None:
        inner = table.table("plus")
        plus = Span(inner.column("column"), _UNIT_MS[inner.choice("unit", _UNIT_MS) or "ms"])
        inner.end()
    table.end()
    if form in _EPOCHS:
        form, unit = TimeForm.SINCE, _EPOCHS[form]
    elif form == TimeForm.SINCE and (since is None or unit is None):
        table.refuse("format", 'with "since" the entries since and unit say from when and in what')
    if pattern is not None and form != TimeForm.LOCAL:
        table.refuse("pattern", 'it goes with format = "local"')
    return TimeColumn(
        column=column,
        form=TimeForm(form),
        zone=zone,
        pattern=pattern,
        is_first_of_two=ambiguous != "second",
        since_ms=since or 0,
        unit_ms=_UNIT_MS[unit or "ms"],
        plus=plus,
    )


def _moment(table: _Table, name: str) -> int | None:
    value = table.get(name)
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        table.refuse(name, "it has to be a moment such as 2017-11-01T00:00:00Z")
    return epoch_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _vins(vehicle: _Table) -> Mapping[str, str] | None:
    if vehicle.get("vins") is None:
        return None
    table = vehicle.table("vins")
    found = {}
    for name, value in table.content.items():
        if not isinstance(value, str) or not vin_form.is_well_formed(value):
            table.refuse(name, "a VIN has 17 characters: digits and capitals without I, O and Q (ISO 3779)")
        found[name] = str(value)
    return found


def _values(table: _Table) -> tuple[ValueColumn, ...]:
    found = []
    for target, value in table.content.items():
        if target not in FIELDS:
            table.refuse(target, f"no such column; there are {', '.join(FIELDS)}")
        field = FIELDS[target]
        if isinstance(value, str):
            found.append(ValueColumn(target, value))
            continue
        if not isinstance(value, Mapping):
            table.refuse(target, 'name a column, or { column = "…", unit = "…" }')
        entry = _Table(value, f"[columns.{target}]")
        column, unit = entry.column("column"), entry.text("unit")
        entry.end()
        by_name = {name.casefold(): linear for name, linear in field.units.items()}
        if unit is not None and unit.casefold() not in by_name:
            entry.refuse("unit", f"it is one of {', '.join(field.units) or 'none: the column has no unit'}")
        linear = by_name[unit.casefold()] if unit else fields.AS_IT_IS
        found.append(ValueColumn(target, column, linear))
    return tuple(found)


def _constants(table: _Table) -> tuple[tuple[str, Any], ...]:
    found = []
    for target, value in table.content.items():
        field = FIELDS.get(target)
        if field is None or field.kind not in (Kind.NUMBER, Kind.WHOLE, Kind.FLAG, Kind.SOURCE):
            table.refuse(target, "no such column, or one that no constant fits")
        fits = {
            Kind.FLAG: isinstance(value, bool),
            Kind.SOURCE: value in fields.ODOMETER_SOURCES,
            Kind.WHOLE: isinstance(value, int) and not isinstance(value, bool),
            Kind.NUMBER: isinstance(value, int | float) and not isinstance(value, bool),
        }[field.kind]
        if not fits or (
            field.kind in (Kind.NUMBER, Kind.WHOLE) and not field.lowest <= value <= field.highest
        ):
            table.refuse(target, "the value does not fit the column")
        found.append((target, value))
    return tuple(found)


def _nulls(top: _Table) -> tuple[str, ...]:
    value = top.get("null_values")
    if value is None:
        return DEFAULT_NULLS
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        top.refuse("null_values", "it has to be a list of texts")
    return tuple(dict.fromkeys(["", *value]))


def _delimiter(top: _Table) -> str | None:
    value = top.text("delimiter")
    if value is not None and (len(value) != 1 or not value.isascii() or value in '"\r\n'):
        top.refuse("delimiter", "it is one ASCII character")
    return value
