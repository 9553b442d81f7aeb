"""The odometer in miles, left out of a file whose rows all say it by their metres, bit by bit.

A device has one odometer. `odometer_source` names it, and its metres become miles by one division
(`ingest.sink.rows.stamp_odometer`). In files of the VED cars the miles cost 4.6 of 19.8 bytes a row, and say
nothing new. A file leaves them out if for every row of the day this division gives the very bits that
ClickHouse holds, and null where the source or its metres are null. One row with a word of its own, as a
partner's, keeps the column for the whole day.

A file that leaves them out says so, and how to get them, in the metadata of its footer (`KEY`). All readers
of ours take rows through `completed`, the only place where miles are made of archived metres.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from telematics.names import OdometerSource
from telematics.units import METRES_PER_MILE
from warehouse.archive.errors import DamagedError

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)

NAME: Final = "odometer"
"""The column that may be left out."""

KEY: Final = "piston.derived"
"""Entry of the footer's key-value metadata: a JSON object, column → how to derive it, in words."""

WORDS: Final[Mapping[str, str]] = {
    NAME: f"odometer_<odometer_source>_m / {METRES_PER_MILE} miles: one division of 64-bit floating-point "
    "numbers; null where odometer_source is not one of can, obd, gnss, or its metres are null"
}
"""What a file says that leaves the column out. Other words may be chosen, another rule needs another name."""

_SOURCE: Final = "odometer_source"
_SERIES: Final = {source.value: f"odometer_{source.value}_m" for source in OdometerSource}
_INPUTS: Final = (_SOURCE, *_SERIES.values())


def _clickhouse_differing() -> str:
    cases = ", ".join(f"{_SOURCE} = '{source}', {metres}" for source, metres in _SERIES.items())
    miles = f"(toFloat64(multiIf({cases}, null)) / toFloat64({METRES_PER_MILE!r}))"
    stored, derived = (f"reinterpretAsUInt64(ifNull({each}, toFloat64(0)))" for each in (NAME, miles))
    return f"(isNull({NAME}) != isNull{miles} or {stored} != {derived})"


CLICKHOUSE_DIFFERING: Final = _clickhouse_differing()
"""ClickHouse condition: the row's odometer is not what `odometer` makes of its metres."""


def odometer(rows: pa.Table | pa.RecordBatch) -> pa.Array | pa.ChunkedArray:
    """The miles that the rows' metres stand for."""
    source = rows.column(_SOURCE).cast(pa.string())
    metres = pa.scalar(None, pa.int64())
    for name, series in _SERIES.items():
        is_this = pc.fill_null(pc.equal(source, name), False)
        metres = pc.if_else(is_this, rows.column(series).cast(pa.int64()), metres)
    # not safe: metres beyond 2^53 are rounded to the nearest number, as the sink's division does
    return pc.divide(pc.cast(metres, pa.float64(), safe=False), METRES_PER_MILE)


def is_derivable(rows: pa.Table | pa.RecordBatch) -> bool:
    """Whether `odometer` gives exactly the column of these rows: every null, every bit."""
    return bool(_bits(rows.column(NAME)).equals(_bits(odometer(rows))))


def _bits(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Floating-point numbers as integers of the same bits: -0.0 is not 0.0, a NaN is itself."""
    return (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column).view(pa.int64())


def is_left_out(schema: pa.Schema, metadata: Mapping[bytes, bytes] | None, key: str) -> bool:
    """Whether a file says that the column is to be derived, and lacks it.

    Args:
        schema: of the file.
        metadata: the key-value metadata of its footer.
        key: the file's, for messages.

    Raises:
        DamagedError: it leaves out what this release cannot derive.
    """
    try:
        said = json.loads((metadata or {}).get(KEY.encode(), b"{}"))
        unknown = sorted(said.keys() - WORDS.keys() - set(schema.names))
    except (ValueError, AttributeError) as error:
        message = f"{key}: its metadata do not say which columns it leaves out"
        raise DamagedError(message) from error
    if unknown:
        message = (
            f"{key}: it leaves out {', '.join(unknown)[:200]}, which this release does not know how to derive"
        )
        raise DamagedError(message)
    return NAME in said and NAME not in schema.names


def has_inputs(schema: pa.Schema) -> bool:
    """Whether a file has what the column is derived from; one that others wrote anew may have lost it."""
    if not set(_INPUTS) <= set(schema.names):
        return False
    source = schema.field(_SOURCE).type
    kind = source.value_type if pa.types.is_dictionary(source) else source
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return is_text and all(pa.types.is_signed_integer(schema.field(name).type) for name in _SERIES.values())


def needed(names: Sequence[str]) -> list[str]:
    """The columns to read of a file that leaves the odometer out, to give these."""
    if NAME not in names:
        return list(names)
    return list(dict.fromkeys((*(name for name in names if name != NAME), *_INPUTS)))


def completed(rows: Rows, names: Sequence[str]) -> Rows:
    """Rows of a file that leaves the odometer out, read with `needed`: these columns, and nothing else."""
    if NAME in names:
        rows = rows.append_column(NAME, odometer(rows))
    return rows.select(list(names))
