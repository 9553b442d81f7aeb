"""The fields of records and of buckets: one table, from which answers, columns and `withheld` follow.

A field has one name whatever the units: `speed`, `altitude`, `odometer`. An answer carries it under a name
that ends in the unit where a unit is to choose (`speed_mph`, `speed_kph`); that name is understood, too. In a
bucket a field may have several values (`speed_mph` is the mean then, `speed_mph_max` the largest).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from serving.consent.gate import VehicleAccess
from serving.scopes import Scope
from serving.vehicles.location import (
    Precision,
    accuracy_from_hdop,
    maybe_position,
    precision_allowed,
    shown_at,
)
from serving.vehicles.units import Units, altitude, distance, single_precision, speed
from telematics.clock import rfc3339_ms
from warehouse.history import Resolution

TIME: Final = "time"
"""Comes with every record, asked for or not."""

StoredRow = Mapping[str, Any]


class Shown(NamedTuple):
    """How values are shown."""

    units: Units
    precision: Precision | None


Value = Callable[[StoredRow, Shown], Any]


class Part(NamedTuple):
    """One value of an answer."""

    name: str
    metric: str
    """Its name with `units=metric`."""
    value: Value

    def name_in(self, units: Units) -> str:
        """Its name in these units."""
        return self.metric if units is Units.METRIC else self.name


class Shape(NamedTuple):
    """A field at one resolution."""

    columns: tuple[str, ...]
    """What must be read of the history."""
    parts: tuple[Part, ...]


class Field(NamedTuple):
    """What can be asked for."""

    name: str
    is_allowed: Callable[[VehicleAccess], bool]
    record: Shape
    bucket: Shape | None
    """None: buckets say nothing of it."""

    def shape(self, resolution: Resolution) -> Shape:
        """The field at this resolution, which it must have."""
        shape = self.record if resolution is Resolution.RAW else self.bucket
        assert shape is not None  # noqa: S101 - `fields_at` leaves such fields out
        return shape


def _always(_: VehicleAccess) -> bool:
    return True


def _located(access: VehicleAccess) -> bool:
    return precision_allowed(access) is not None


def _precise(access: VehicleAccess) -> bool:
    # with speed and heading anybody could reckon the track that a coarse position hides
    return precision_allowed(access) is Precision.PRECISE


def _with(scope: Scope) -> Callable[[VehicleAccess], bool]:
    return lambda access: access.allows(scope)


def _plain(column: str) -> Value:
    return lambda row, _: row[column]


def _single(column: str) -> Value:
    return lambda row, _: single_precision(row[column])


def _rounded(column: str, digits: int) -> Value:
    return lambda row, _: None if row[column] is None else round(row[column], digits)


def _moment(column: str) -> Value:
    return lambda row, _: rfc3339_ms(row[column])


def _measured(column: str, convert: Callable[[float | None, Units], float | None]) -> Value:
    return lambda row, shown: convert(row[column], shown.units)


def _where_fixed(value: Value) -> Value:
    return lambda row, shown: value(row, shown) if row["is_valid"] else None


def _location(row: StoredRow, shown: Shown) -> dict[str, float | None] | None:
    if shown.precision is None:
        return None
    position = maybe_position(row["lat"], row["lng"], accuracy_from_hdop(row["hdop"]))
    if position is None:
        return None
    coarsened = shown_at(position, shown.precision)
    return {"lat": coarsened.lat_deg, "lng": coarsened.lng_deg, "accuracy_m": coarsened.accuracy_m}


def _part(name: str, value: Value, metric: str | None = None) -> Part:
    return Part(name, metric or name, value)


def _shape(columns: Iterable[str], *parts: Part) -> Shape:
    return Shape(tuple(columns), parts)


def _same(name: str, column: str, value: Callable[[str], Value] = _plain) -> Field:
    """A field whose bucket says one value of the same form."""
    shape = _shape([column], _part(name, value(column)))
    return Field(name, _always, shape, shape)


def _fixed(name: str, column: str, value: Value, metric: str | None, imperial: str) -> Field:
    """A field that means something with a fix alone, and is told with the precise position alone."""
    return Field(
        name,
        _precise,
        _shape([column, "is_valid"], _part(imperial, _where_fixed(value), metric)),
        _shape([column], _part(imperial, value, metric)),
    )


def _mean_and_max(name: str) -> Field:
    return Field(
        name,
        _always,
        _shape([name], _part(name, _plain(name))),
        _shape([name], _part(name, _rounded(name, 1)), _part(f"{name}_max", _plain(f"{name}_max"))),
    )


_SPEED: Final = _measured("speed_mph", speed)
_ODOMETER: Final = _part("odometer", _measured("odometer", distance), "odometer_km")

FIELDS: Final = (
    _same("received_at", "received_at", _moment),
    Field(
        "location",
        _located,
        _shape(["lat", "lng", "hdop", "is_valid"], _part("location", _where_fixed(_location))),
        _shape(["lat", "lng", "hdop"], _part("location", _location)),
    ),
    Field(
        "speed",
        _always,
        _shape(["speed_mph"], _part("speed_mph", _SPEED, "speed_kph")),
        _shape(
            ["speed_mph"],
            _part("speed_mph", _SPEED, "speed_kph"),
            _part("speed_mph_max", _measured("speed_mph_max", speed), "speed_kph_max"),
        ),
    ),
    _fixed("heading", "heading", _plain("heading"), None, "heading"),
    _fixed("altitude", "altitude_ft", _measured("altitude_ft", altitude), "altitude_m", "altitude_ft"),
    Field(
        "odometer",
        _with(Scope.ODOMETER_READ),
        _shape(["odometer"], _ODOMETER),
        _shape(
            ["odometer"], _ODOMETER, _part("distance_mi", _measured("distance_mi", distance), "distance_km")
        ),
    ),
    _same("odometer_source", "odometer_source")._replace(is_allowed=_with(Scope.ODOMETER_READ)),
    _same("fuel_pct", "fuel_pct", _single),
    Field(
        "battery_voltage",
        _always,
        _shape(["battery_v"], _part("battery_voltage", _single("battery_v"))),
        _shape(
            ["battery_v"],
            _part("battery_voltage", _rounded("battery_v", 3)),
            _part("battery_voltage_min", _single("battery_v_min")),
            _part("battery_voltage_max", _single("battery_v_max")),
        ),
    ),
    _same("dtc_codes", "dtc_codes")._replace(is_allowed=_with(Scope.DTC_READ)),
    _same("ignition", "ignition"),
    _same("movement", "movement"),
    _mean_and_max("rpm"),
    _mean_and_max("coolant_c"),
    _mean_and_max("engine_load_pct"),
    Field(
        "ambient_c",
        _always,
        _shape(["ambient_c"], _part("ambient_c", _plain("ambient_c"))),
        _shape(["ambient_c"], _part("ambient_c", _rounded("ambient_c", 1))),
    ),
    _same("hv_soc_pct", "hv_soc_pct"),
    _same("satellites", "satellites"),
    _same("event_id", "event_id")._replace(bucket=None),
)
"""In the order of the answer."""


_NAMED: Final = 5
"""A message names no more unknown fields than that: a body has room for thousands."""


class UnknownFieldsError(ValueError):
    """A field that does not exist was asked for; the message lists those that do."""


def fields_at(resolution: Resolution) -> tuple[Field, ...]:
    """Every field that there is at a resolution."""
    return tuple(field for field in FIELDS if resolution is Resolution.RAW or field.bucket is not None)


def chosen_fields(names: Collection[str] | None, units: Units, resolution: Resolution) -> tuple[Field, ...]:
    """The fields of these names, in the order of the answer; all by default.

    Raises:
        UnknownFieldsError: there is none of such a name in these units at this resolution.
    """
    there_are = fields_at(resolution)
    if names is None:
        return there_are
    by_name = {field.name: field for field in there_are}
    by_name |= {field.shape(resolution).parts[0].name_in(units): field for field in there_are}
    if unknown := sorted(set(names) - by_name.keys() - {TIME}):
        message = (
            f"there is no field {', '.join(unknown[:_NAMED])}; with resolution={resolution} there are "
            f"{TIME}, {', '.join(field.name for field in there_are)}"
        )
        raise UnknownFieldsError(message)
    wanted = {by_name[name].name for name in names if name != TIME}
    return tuple(field for field in there_are if field.name in wanted)


def columns_of(fields: Iterable[Field], resolution: Resolution) -> tuple[str, ...]:
    """What must be read of the history for these fields."""
    columns = {column: None for field in fields for column in field.shape(resolution).columns}
    return (TIME, *columns) if resolution is Resolution.RAW else tuple(columns)
