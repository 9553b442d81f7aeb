"""The columns that a history can return, and how each tier spells them.

Both tiers give the same Python values: `time` and `received_at` aware in UTC, single-precision numbers with
their shortest decimal form (45.2, not 45.20000076293945), `dtc_codes` a list or None, `raw_data` a dictionary
or None.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from telematics.clock import from_epoch_ms
from telematics.errors import ConfigurationError
from warehouse import columns
from warehouse.history.aggregates import AGGREGATES, aggregates_of
from warehouse.history.cursor import Position
from warehouse.history.resolution import Resolution
from warehouse.history.tiers import Tier

Record = dict[str, Any]
"""Column name to value; in a bucket the names of `warehouse.history.aggregates`."""


class Row(NamedTuple):
    """What a tier returns: a record or bucket with its place in the order of the history."""

    position: Position
    tier: Tier
    record: Record


def position_of(row: Row) -> Position:
    """What rows are ordered by."""
    return row.position


FIELDS: Final = (*(column.name for column in columns.COPIED), "vin")
"""Every column that can be asked for."""

_WIRE: Final = {column.name: column.wire_type for column in columns.COPIED}


def checked(fields: Sequence[str] | None, resolution: Resolution) -> tuple[str, ...]:
    """The fields asked for; of records all by default, of buckets all that have aggregates.

    Raises:
        ConfigurationError: one does not exist.
    """
    if resolution is not Resolution.RAW:
        names = tuple(AGGREGATES if fields is None else fields)
        aggregates_of(names)
        return names
    if fields is None:
        return FIELDS
    if unknown := sorted(set(fields) - set(FIELDS)):
        message = f"history has no column {', '.join(unknown)}; it has {', '.join(FIELDS)}"
        raise ConfigurationError(message)
    return tuple(fields)


def warm_type(name: str) -> str:
    """ClickHouse's type of the field, that it may be null aside."""
    return _WIRE[name].removeprefix("Nullable(").removesuffix(")")


def warm_expression(name: str, value: str | None = None) -> str:
    """How ClickHouse selects the field, or a value of the field's type."""
    kind = _WIRE.get(name, "String")
    if kind.startswith("DateTime64"):
        return f"toUnixTimestamp64Milli({value or name})"
    if kind == "Nullable(Float32)":
        return f"toFloat64(toString({value or name}))"
    if name == "dtc_codes":
        return "if(dtc_known, toJSONString(dtc_codes), '')"
    return value or name


def from_warm(name: str, cells: Sequence[Any]) -> Sequence[Any]:
    """Cells of ClickHouse, selected by `warm_expression`, as the values that TimescaleDB would have given."""
    if name in ("time", "received_at"):
        return [from_epoch_ms(cell) for cell in cells]
    if name in ("dtc_codes", "raw_data"):
        return [json.loads(cell) if cell else None for cell in cells]
    return cells


def moment_literal(moment: datetime) -> str:
    """An aware moment as ClickHouse reads a DateTime64(6, 'UTC') parameter."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
