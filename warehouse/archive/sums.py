"""What two copies of a day are compared by: rows, and for each column a count, a sum and a checksum.

The checksum is the sum, modulo 2^64, of each value's 64-bit image: integers and times themselves, the bits
of floating-point numbers, xxHash64 of texts. It does not depend on the order of rows, it is exact, and
ClickHouse and Parquet compute it alike, so a single changed bit shows. The plain sums are there for people
and for other tools; those of floating-point numbers depend on the order of addition in their last digits.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from clickhouse_connect.driver.client import Client

from telematics.clock import epoch_ms, from_epoch_ms
from warehouse import columns, warm_days
from warehouse.archive import layout

_MODULUS: Final = 1 << 64


@dataclass(slots=True)
class ColumnSums:
    """One column's values, added up."""

    non_null: int = 0
    sum: float | int | None = None
    """Of numeric columns; None for others."""
    checksum: int = 0

    def add(self, other: "ColumnSums") -> None:
        """Take in the sums of further rows."""
        self.non_null += other.non_null
        self.checksum = (self.checksum + other.checksum) % _MODULUS
        if other.sum is not None:
            self.sum = other.sum if self.sum is None else self.sum + other.sum


@dataclass(slots=True)
class ContentSums:
    """Rows of a day, added up column by column."""

    row_count: int = 0
    min_time_ms: int | None = None
    max_time_ms: int | None = None
    columns: dict[str, ColumnSums] = field(default_factory=dict)

    def differences(self, other: "ContentSums") -> list[str]:
        """What differs, in words; nothing if both stand for the same rows."""
        found = []
        if self.row_count != other.row_count:
            found.append(f"{self.row_count} rows against {other.row_count}")
        if (self.min_time_ms, self.max_time_ms) != (other.min_time_ms, other.max_time_ms):
            found.append("first and last time")
        for name in sorted(self.columns.keys() | other.columns.keys()):
            mine, theirs = self.columns.get(name), other.columns.get(name)
            if mine is None or theirs is None:
                found.append(f"column {name} is on one side only")
            elif (mine.non_null, mine.checksum) != (theirs.non_null, theirs.checksum):
                found.append(f"column {name}")
        return found

    def without_nulls(self) -> "ContentSums":
        """The same without columns that hold no value at all: an older file has no word for them."""
        kept = {name: sums for name, sums in self.columns.items() if sums.non_null}
        return ContentSums(self.row_count, self.min_time_ms, self.max_time_ms, kept)


def of_clickhouse(client: Client, day: date) -> ContentSums:
    """The sums of a day in `analytics.telemetry`."""
    parts = ["count()", "toUnixTimestamp64Milli(min(time))", "toUnixTimestamp64Milli(max(time))"]
    for name, kind in zip(layout.schema().names, layout.schema().types, strict=True):
        parts += _clickhouse_parts(name, kind)
    [row] = client.query(
        f"select {', '.join(parts)} from {warm_days.TELEMETRY} where {warm_days.WITHIN_DAYS}",
        parameters=warm_days.day_bounds(day, day + timedelta(1)),
    ).result_rows
    if not row[0]:
        return ContentSums(0, None, None, {name: ColumnSums() for name in layout.schema().names})
    cells = iter(row[3:])
    return ContentSums(
        row_count=int(row[0]),
        min_time_ms=int(row[1]),
        max_time_ms=int(row[2]),
        columns={name: _column_sums(next(cells), next(cells), next(cells)) for name in layout.schema().names},
    )


def _column_sums(non_null: Any, total: Any, checksum: Any) -> ColumnSums:
    return ColumnSums(int(non_null), total, int(checksum))


def _clickhouse_parts(name: str, kind: pa.DataType) -> list[str]:
    """Expressions of `non_null`, `sum` and `checksum` of a column."""
    total = "cast(null as Nullable(Float64))"
    if pa.types.is_floating(kind):
        zero = "toFloat64(0)" if kind == pa.float64() else "toFloat32(0)"
        image = f"reinterpretAsUInt64(ifNull({name}, {zero}))"
        total = f"sum(toFloat64({name}))"
    elif pa.types.is_integer(kind):
        image = f"reinterpretAsUInt64(toInt64(ifNull({name}, 0)))"
        total = f"sum(toInt128({name}))"
    elif pa.types.is_boolean(kind):
        image = f"toUInt64(ifNull({name}, false))"
    elif pa.types.is_timestamp(kind):
        image = f"reinterpretAsUInt64(toUnixTimestamp64Milli({name}))"
    elif pa.types.is_list(kind):
        image = f"xxHash64(arrayStringConcat({name}, '\\x1f'))"
    else:
        image = f"if(isNull({name}), toUInt64(0), xxHash64(ifNull({name}, '')))"
    return [f"count({name})", total, f"sumWithOverflow({image})"]


def of_batches(batches: Iterable[pa.RecordBatch | pa.Table]) -> ContentSums:
    """The sums of a file's rows, batch by batch."""
    found = ContentSums()
    for batch in batches:
        add_batch(found, batch)
    return found


def add_batch(found: ContentSums, batch: pa.RecordBatch | pa.Table) -> None:
    """Add the rows of a batch."""
    if not batch.num_rows:
        return
    found.row_count += batch.num_rows
    bounds = pc.min_max(batch.column("time"))
    first, last = epoch_ms(bounds["min"].as_py()), epoch_ms(bounds["max"].as_py())
    found.min_time_ms = first if found.min_time_ms is None else min(first, found.min_time_ms)
    found.max_time_ms = last if found.max_time_ms is None else max(last, found.max_time_ms)
    for name in batch.schema.names:
        column = batch.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        found.columns.setdefault(name, ColumnSums()).add(_sums_of(column))


def _sums_of(column: pa.Array) -> ColumnSums:
    kind = column.type
    non_null = len(column) - column.null_count
    total: float | int | None = None
    if pa.types.is_list(kind):
        return ColumnSums(non_null, None, _text_checksum(pc.binary_join(column, columns.SEPARATOR)))
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return ColumnSums(non_null, None, _text_checksum(column))
    if pa.types.is_floating(kind):
        values = pc.fill_null(column, pa.scalar(0.0, kind)).to_numpy(zero_copy_only=False)
        image = values.view(np.uint64 if kind == pa.float64() else np.uint32).astype(np.uint64)
        total = float(values.astype(np.float64).sum()) if non_null else None
    elif pa.types.is_integer(kind):
        values = pc.fill_null(column, pa.scalar(0, kind)).to_numpy(zero_copy_only=False).astype(np.int64)
        image = values.view(np.uint64)
        # two halves, so that a sum of 64-bit numbers does not run over
        total = int((values >> 32).sum()) * (1 << 32) + int((values & 0xFFFFFFFF).sum()) if non_null else None
    elif pa.types.is_boolean(kind):
        image = pc.fill_null(column, False).to_numpy(zero_copy_only=False).astype(np.uint64)
    else:
        image = column.cast(pa.int64()).to_numpy(zero_copy_only=False).view(np.uint64)
    return ColumnSums(non_null, total, int(image.sum(dtype=np.uint64)))


def _text_checksum(column: pa.Array) -> int:
    """Each different text is hashed once."""
    counts = pc.value_counts(column)
    texts, times = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
    total = 0
    for text, count in zip(texts, times, strict=True):
        if text is not None:
            total += int(xxhash.xxh64_intdigest(text.encode())) * int(count)
    return total % _MODULUS


def moment(ms: int | None) -> str | None:
    """Milliseconds since the epoch as RFC 3339, for a manifest."""
    return None if ms is None else from_epoch_ms(ms).isoformat(timespec="milliseconds")
