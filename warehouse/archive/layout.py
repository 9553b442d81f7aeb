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
import pyarrow.parquet as pq

from warehouse import columns

SCHEMA_VERSION: Final = 2
"""Of what columns mean and how rows are ordered. A column that is added does not change it: readers take a
column that a file lacks as null, and pass over those that they do not know.

1: a column that a file lacks is null. 2: so it is, unless the footer's metadata say how it is derived
(`derived`); a file without such a word is read the same in both."""

ORDER: Final = ("vin", "time", "device_id", "event_id", "content_hash")
"""The order of rows, total because it ends with the identity."""

ROW_GROUP_ROWS: Final = 65_536
"""What a lookup reads at most for a vehicle that fits one group; docs/warehouse.md has the sizes tried."""

BLOOM_VEHICLES: Final = 512
"""Different vehicles that a row group's bloom filter is made for: 1 kB, 1 % false answers. More of them in a
group mean sparse days, and more false answers."""

ZSTD_LEVEL: Final = 12
"""Written once, read seldom: 19.9 B a row at 2.3 µs; level 9 gives 20.0 B as fast, 15 19.7 B at 4.7 µs.
(Tried when every file had the odometer in miles.)"""

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
    """The columns of an archived row: all that ClickHouse holds. A file may leave one out (`derived`)."""
    fields = [
        *((column.name, _arrow_type(column)) for column in columns.COPIED),
        *((name, pa.string()) for name in columns.RESOLVED),
        *((name, pa.bool_()) for name in columns.DERIVED),
    ]
    return pa.schema(fields)


def select_list() -> str:
    """The same columns, in the same order, as ClickHouse selects them."""
    return ", ".join(schema().names)


def writer_options(stored: pa.Schema) -> dict[str, Any]:
    """Arguments of `pyarrow.parquet.ParquetWriter` for a file with these columns.

    Text that repeats is kept in dictionaries, times and counters as differences, the odometer in miles with
    its bytes apart, all else as it is, which ZSTD shrinks best (20 B a row over the days of the VED cars; all
    floating-point numbers with their bytes apart came to 24). Every page carries a checksum: a damaged one is
    never read. There is no page index: a row group is read whole, column by column.
    """
    encodings: dict[str, str] = {}
    dictionaries: list[str] = []
    for field in stored:
        if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_list(field.type):
            dictionaries.append(f"{field.name}.list.element")
        elif pa.types.is_string(field.type):
            dictionaries.append(field.name)
    # hashes are random: differences of them would only be longer
    encodings["content_hash"] = "PLAIN"
    if "odometer" in stored.names:
        encodings["odometer"] = "BYTE_STREAM_SPLIT"
    return {
        "compression": "zstd",
        "compression_level": ZSTD_LEVEL,
        "use_dictionary": dictionaries,
        "column_encoding": encodings,
        "write_statistics": True,
        "write_page_checksum": True,
        "bloom_filter_options": {"vin": {"ndv": BLOOM_VEHICLES, "fpp": 0.01}},
        "sorting_columns": [pq.SortingColumn(stored.names.index(name)) for name in ORDER],
        "data_page_version": "2.0",
        "version": "2.6",
        # Arrow's own copy of the schema says nothing that Parquet's does not, in 4 kB a file
        "store_schema": False,
    }


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
