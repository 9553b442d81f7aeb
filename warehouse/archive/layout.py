"""How an archived day is laid out: keys, columns, encodings, row groups.

    telemetry/day=2024-01-02/v0001-<16 hex of the SHA-256>.parquet
    telemetry/day=2024-01-02/v0001-<16 hex of the SHA-256>.manifest.json

Rows lie in the order (vin, time, device_id, event_id, content_hash), so that a vehicle's day is a stretch of
one or two row groups. Any reader of Parquet understands the files; nothing of ours is needed.
"""

import re
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import columns

SCHEMA_VERSION: Final = 3
"""Of what columns mean and how rows are ordered. A column that is added does not change it: readers take a
column that a file lacks as null, and pass over those that they do not know.

1: a column that a file lacks is null. 2: so it is, unless the footer's metadata say how it is derived
(`derived`); a file without such a word is read the same in both. 3: so may any column of `derived.RULES`,
where 2 knew the odometer only, and integers may stand in the place of those left out (`warehouse.steps`)."""

ORDER: Final = ("vin", "time", "device_id", "event_id", "content_hash")
"""The order of rows, total because it ends with the identity."""

ROW_GROUP_ROWS: Final = 65_536
"""What a lookup reads at most for a vehicle that fits one group; docs/warehouse.md has the sizes tried."""

BLOOM_VEHICLES: Final = 512
"""Different vehicles that a row group's bloom filter is made for: 1 kB, 1 % false answers. More of them in a
group mean sparse days, and more false answers."""

ZSTD_LEVEL: Final = 19
"""Written once, kept ten years: 0.2 B a row less than at level 12, at 8 µs a row instead of 2. Level 22 saves
0.003 B more, at 10."""

_LEVELS: Final = {"received_at": 15}
"""Where a lower level gives the same: 19 takes 4 µs a row more for the long repetitions."""

PRUNED_BY: Final = (
    *("vin", "time", "device_id", "event_id", "received_at", "lat", "lat_e7", "lng", "lng_e7"),
    *("speed_mph", "speed_kph", "odometer", "odometer_gnss_m", "odometer_can_m", "odometer_obd_m"),
)
"""Columns whose least and greatest value each row group's metadata have. Those of all columns would cost 0.13
of 13.4 B a row where days are small."""

_ENCODINGS: Final = {
    "content_hash": "PLAIN",  # hashes are random: differences of them would only be longer
    "odometer": "BYTE_STREAM_SPLIT",
    "received_at": "PLAIN",  # the records of a packet share it: 0.17 B a row, 0.24 as differences
    "speed_kph": "DELTA_BINARY_PACKED",
}
"""Where the type's own is not the best."""

_POSITIONS: Final = ("lat_e7", "lng_e7")

DELTA_BELOW: Final = 0.6
"""Share of repeated positions below which their differences are shorter than they are. VED cars tell each fix
several times (0.82): 0.92 B a row for both numbers, as differences 1.5. A tracker tells a new fix in each
record (simulated day, 0.22): 5.1 B, as differences 3.0. In between, with fixes held longer, both come alike
at 0.59."""

_PREFIX: Final = "telemetry/"
_KEY: Final = re.compile(
    r"telemetry/day=(\d{4}-\d\d-\d\d)/v(\d{4,})-([0-9a-f]{16})\.(parquet|manifest\.json)"
)

_ARROW: Final = {
    "String": pa.string(),
    "Bool": pa.bool_(),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "DateTime64(3, 'UTC')": pa.timestamp("ms", "UTC"),
}


_NULLABLE: Final = re.compile(r"Nullable\((.*)\)")


def _arrow_type(column: columns.Column) -> pa.DataType:
    if column.name == "dtc_codes":
        return pa.list_(pa.string())
    nullable = _NULLABLE.fullmatch(column.wire_type)
    return _ARROW[nullable[1] if nullable else column.wire_type]


def schema() -> pa.Schema:
    """The columns of an archived row: all that ClickHouse holds.

    A file may say some of them by others (`derived`).
    """
    fields = [
        *((column.name, _arrow_type(column)) for column in columns.COPIED),
        *((name, pa.string()) for name in columns.RESOLVED),
        *((name, pa.bool_()) for name in columns.DERIVED),
    ]
    return pa.schema(fields)


def select_list() -> str:
    """The same columns, in the same order, as ClickHouse selects them."""
    return ", ".join(schema().names)


def writer_options(sample: pa.Table) -> dict[str, Any]:
    """Arguments of `pyarrow.parquet.ParquetWriter` for a file.

    Text that repeats is kept in dictionaries, times, counters and speeds as differences, the odometer in
    miles with its bytes apart, all else as it is, which ZSTD shrinks best. Every page carries a checksum: a
    damaged one is never read. There is no page index: a row group is read whole, column by column.

    Args:
        sample: the first row group, in the file's columns; positions are encoded by how often they repeat.
    """
    stored = sample.schema
    encodings: dict[str, str] = {}
    dictionaries: list[str] = []
    for field in stored:
        if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_list(field.type):
            dictionaries.append(_leaf(field))
        elif pa.types.is_string(field.type):
            dictionaries.append(field.name)
    encodings |= {name: kind for name, kind in _ENCODINGS.items() if name in stored.names}
    encodings |= {
        name: "DELTA_BINARY_PACKED"
        for name in _POSITIONS
        if name in stored.names and _repeating(sample.column(name)) < DELTA_BELOW
    }
    return {
        "compression": "zstd",
        "compression_level": {_leaf(field): _LEVELS.get(field.name, ZSTD_LEVEL) for field in stored},
        "use_dictionary": dictionaries,
        "column_encoding": encodings,
        "write_statistics": [name for name in PRUNED_BY if name in stored.names],
        "write_page_checksum": True,
        "bloom_filter_options": {"vin": {"ndv": BLOOM_VEHICLES, "fpp": 0.01}},
        "sorting_columns": [pq.SortingColumn(stored.names.index(name)) for name in ORDER],
        "data_page_version": "2.0",
        "version": "2.6",
        # Arrow's own copy of the schema says nothing that Parquet's does not, in 4 kB a file
        "store_schema": False,
    }


def _leaf(field: pa.Field) -> str:
    """The path of the column that has the field's values."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)


def _repeating(column: pa.ChunkedArray) -> float:
    """The share of values that are the value before them."""
    values = column.combine_chunks()
    return float(pc.mean(pc.equal(values[1:], values[:-1])).as_py() or 0)


def key_of(day: date, version: int, sha256: str) -> str:
    """Key of a day's file."""
    return f"{_PREFIX}day={day}/v{version:04d}-{sha256[:16]}.parquet"


def manifest_key(key: str) -> str:
    """Key of the manifest beside a file."""
    return key.removesuffix(".parquet") + ".manifest.json"


def prefix_of(day: date | None = None) -> str:
    """What the keys of a day, or of all days, begin with."""
    return _PREFIX if day is None else f"{_PREFIX}day={day}/"


def day_of(key: str) -> date | None:
    """The day that a key is about; None for a key that is not ours."""
    match = _KEY.fullmatch(key)
    return None if match is None else date.fromisoformat(match[1])
