"""What a bucket says of each column: one table, which every tier follows.

A tier computes an aggregate's parts (`PARTS` says how many) and `finished` makes the value of them, here and
nowhere else, so the value is the same to the last digit wherever the rows lay. Means are sums of whole
thousandths for that reason: the sum of floating-point numbers depends on their order.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from telematics.errors import ConfigurationError

DATA_POINTS: Final = "data_points"
"""Every bucket counts its records under this name."""

SCALE: Final = 1000
"""A mean is taken of whole thousandths, floor(value × 1000 + 0.5), which every engine computes alike."""
LARGEST: Final = 1e9
"""Numbers beyond it are no measurements, nor are NaN and infinities: they do not count."""


class Kind(StrEnum):
    """How the values of a bucket become one. Nulls never count."""

    LAST = "last"
    """The value of the newest record that has one, by (time, content_hash): the same hash, the same value."""
    LAST_FIX = "last_fix"
    """The value, null too, of the newest record with a valid fix on this planet."""
    MEAN = "mean"
    """The mean over records."""
    LEAST = "least"
    """The smallest number."""
    GREATEST = "greatest"
    """The largest number."""
    NEWEST = "newest"
    """The latest moment."""
    ANY = "any"
    """Whether it was true in any record; null where none knows."""
    UNION = "union"
    """All trouble codes, each once, in order; null where no record knows its codes."""
    DISTANCE = "distance"
    """Largest minus smallest odometer, as in `telemetry_hourly`; null where they are of two sources."""


PARTS: Final[Mapping[Kind, int]] = {
    Kind.LAST: 1,
    Kind.LAST_FIX: 1,
    Kind.MEAN: 2,  # sum of thousandths, count
    Kind.LEAST: 1,
    Kind.GREATEST: 1,
    Kind.NEWEST: 1,
    Kind.ANY: 1,
    Kind.UNION: 2,  # codes in any order, whether any record knows its codes
    Kind.DISTANCE: 4,  # smallest and largest odometer, smallest and largest source by name
}


class Aggregate(NamedTuple):
    """One value of a bucket."""

    name: str
    kind: Kind
    column: str
    given: str
    """LAST: the column that a record must have a value of to be the last one."""


def _aggregate(name: str, kind: Kind, column: str | None = None, given: str | None = None) -> Aggregate:
    return Aggregate(name, kind, column or name, given or column or name)


def _mean_and_max(column: str) -> tuple[Aggregate, ...]:
    return _aggregate(column, Kind.MEAN), _aggregate(f"{column}_max", Kind.GREATEST, column)


AGGREGATES: Final[Mapping[str, tuple[Aggregate, ...]]] = {
    "received_at": (_aggregate("received_at", Kind.NEWEST),),
    "lat": (_aggregate("lat", Kind.LAST_FIX),),
    "lng": (_aggregate("lng", Kind.LAST_FIX),),
    "hdop": (_aggregate("hdop", Kind.LAST_FIX),),
    "heading": (_aggregate("heading", Kind.LAST_FIX),),
    "altitude_ft": (_aggregate("altitude_ft", Kind.LAST_FIX),),
    "speed_mph": _mean_and_max("speed_mph"),
    "odometer": (
        _aggregate("odometer", Kind.LAST),
        _aggregate("distance_mi", Kind.DISTANCE, "odometer"),
    ),
    "odometer_source": (_aggregate("odometer_source", Kind.LAST, given="odometer"),),
    "fuel_pct": (_aggregate("fuel_pct", Kind.LAST),),
    "battery_v": (
        _aggregate("battery_v", Kind.MEAN),
        _aggregate("battery_v_min", Kind.LEAST, "battery_v"),
        _aggregate("battery_v_max", Kind.GREATEST, "battery_v"),
    ),
    "dtc_codes": (_aggregate("dtc_codes", Kind.UNION),),
    "ignition": (_aggregate("ignition", Kind.ANY),),
    "movement": (_aggregate("movement", Kind.ANY),),
    "rpm": _mean_and_max("rpm"),
    "coolant_c": _mean_and_max("coolant_c"),
    "engine_load_pct": _mean_and_max("engine_load_pct"),
    "ambient_c": (_aggregate("ambient_c", Kind.MEAN),),
    "hv_soc_pct": (_aggregate("hv_soc_pct", Kind.LAST),),
    "satellites": (_aggregate("satellites", Kind.LEAST),),
}
"""Column asked for → what buckets say of it."""

FIX: Final = ("is_valid", "lat", "lng")
SOURCE: Final = "odometer_source"


def aggregates_of(columns: Iterable[str]) -> tuple[Aggregate, ...]:
    """The aggregates of these columns, in the order of the columns.

    Raises:
        ConfigurationError: buckets say nothing of one of them.
    """
    names = list(columns)
    if unknown := [name for name in names if name not in AGGREGATES]:
        message = f"buckets have no {', '.join(unknown)}; they have {', '.join(AGGREGATES)}"
        raise ConfigurationError(message)
    return tuple(aggregate for name in names for aggregate in AGGREGATES[name])


def columns_read(aggregates: Iterable[Aggregate]) -> tuple[str, ...]:
    """The columns that must be read to compute these."""
    wanted: dict[str, None] = {}
    for aggregate in aggregates:
        wanted |= dict.fromkeys((aggregate.column, aggregate.given))
        if aggregate.kind is Kind.LAST_FIX:
            wanted |= dict.fromkeys(FIX)
        if aggregate.kind is Kind.DISTANCE:
            wanted[SOURCE] = None
    return tuple(wanted)


def finished(kind: Kind, parts: Sequence[Any]) -> Any:
    """The value that a tier's parts make."""
    if kind is Kind.MEAN:
        total, count = parts
        return total / SCALE / count if count else None
    if kind is Kind.UNION:
        codes, is_known = parts
        return sorted(set(codes)) if is_known else None
    if kind is Kind.DISTANCE:
        smallest, largest, source, other = parts
        return None if smallest is None or source != other else largest - smallest
    return parts[0]


def finished_all(aggregates: Iterable[Aggregate], parts: Sequence[Any]) -> dict[str, Any]:
    """Name → value, of the parts of all aggregates one after the other."""
    record, at = {}, 0
    for name, kind, _, _ in aggregates:
        count = PARTS[kind]
        record[name] = finished(kind, parts[at : at + count])
        at += count
    return record
