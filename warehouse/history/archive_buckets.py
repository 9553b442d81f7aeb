"""Buckets of vehicles' records in archived days, computed with Arrow."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.history.aggregates import (
    DATA_POINTS,
    FIX,
    LARGEST,
    SCALE,
    SOURCE,
    Aggregate,
    Kind,
    columns_read,
    finished_all,
)
from warehouse.history.archive import RowsOf, plain
from warehouse.history.cursor import Position
from warehouse.history.fields import Row
from warehouse.history.resolution import EPOCH
from warehouse.history.tiers import Tier

_US: Final = timedelta(microseconds=1)


def columns_of_buckets(aggregates: Sequence[Aggregate]) -> tuple[str, ...]:
    """What `buckets_of` needs."""
    return (*columns_read(aggregates), "dtc_known")


def buckets_of(aggregates: Sequence[Aggregate], width: timedelta) -> RowsOf:
    """Makes buckets."""
    return partial(_buckets, aggregates, width)


def _buckets(aggregates: Sequence[Aggregate], width: timedelta, table: pa.Table, count: int) -> list[Row]:
    if not table.num_rows:
        return []
    work = _Work(table, width)
    parts = [part for aggregate in aggregates for part in work.parts(aggregate)]
    rows = []
    for place, (vin, bucket_us) in enumerate(work.buckets()[:count]):
        bucket = EPOCH + bucket_us * _US
        cells = [column[place] for column in parts]
        record = {"time": bucket, DATA_POINTS: work.counts[place], **finished_all(aggregates, cells)}
        rows.append(Row(Position(vin, bucket), Tier.ARCHIVE, record))
    return rows


class _Work:
    """Records in order of VIN, time and hash, cut into buckets: these are runs of neighbouring rows."""

    def __init__(self, table: pa.Table, width: timedelta) -> None:
        order = [(name, "ascending") for name in ("vin", "time", "content_hash")]
        self._table = table.sort_by(order).combine_chunks()
        width_us = pa.scalar(width // _US, pa.int64())
        moments = pc.cast(pc.cast(self._table.column("time"), pa.timestamp("us", "UTC")), pa.int64())
        keys = pa.table(
            {
                "vin": self._table.column("vin"),
                "bucket": pc.multiply(pc.divide(moments, width_us), width_us),
                "row": pa.array(range(table.num_rows), pa.int64()),
            }
        )
        grouped = keys.group_by(["vin", "bucket"], use_threads=False).aggregate(
            [("row", "min"), ("row", "count")]
        )
        self._keys = keys
        self._grouped = grouped.sort_by([("vin", "ascending"), ("bucket", "ascending")])
        self.counts: list[int] = self._grouped.column("row_count").to_pylist()

    def buckets(self) -> list[tuple[str, int]]:
        """VIN and first moment in µs of each."""
        return list(
            zip(
                self._grouped.column("vin").to_pylist(),
                self._grouped.column("bucket").to_pylist(),
                strict=True,
            )
        )

    def parts(self, aggregate: Aggregate) -> list[list[Any]]:
        """The columns of the aggregate's parts, a cell for each bucket."""
        column = self._table.column(aggregate.column)
        match aggregate.kind:
            case Kind.LAST:
                return [self._last(column, pc.is_valid(self._table.column(aggregate.given)))]
            case Kind.LAST_FIX:
                return [self._last(column, self._is_fix())]
            case Kind.MEAN:
                number = pc.cast(column, pa.float64())
                scaled = pc.floor(pc.add(pc.multiply(number, float(SCALE)), 0.5))
                whole = pc.cast(_where(_is_number(column), scaled), pa.int64())
                return [self._reduced(whole, "sum"), self._reduced(whole, "count")]
            case Kind.LEAST:
                return [self._reduced(_where(_is_number(column), column), "min")]
            case Kind.GREATEST:
                return [self._reduced(_where(_is_number(column), column), "max")]
            case Kind.NEWEST:
                return [self._reduced(column, "max")]
            case Kind.ANY:
                highest = self._reduced(pc.cast(column, pa.int8()), "max")
                return [[None if value is None else bool(value) for value in highest]]
            case Kind.UNION:
                return self._union(column)
            case Kind.DISTANCE:
                is_number = _is_number(column)
                of_both = [_where(is_number, each) for each in (column, self._table.column(SOURCE))]
                return [self._reduced(each, name) for each in of_both for name in ("min", "max")]

    def _reduced(self, column: pa.ChunkedArray, function: str) -> list[Any]:
        work = self._keys.append_column("value", column)
        reduced = work.group_by(["vin", "bucket"], use_threads=False).aggregate([("value", function)])
        ordered = reduced.sort_by([("vin", "ascending"), ("bucket", "ascending")])
        return plain(ordered.column(f"value_{function}"))

    def _last(self, column: pa.ChunkedArray, condition: pa.ChunkedArray) -> list[Any]:
        """The value of each bucket's last row that fulfils the condition."""
        rows = self._reduced(_where(condition, self._keys.column("row")), "max")
        return plain(column.take(pa.array(rows, pa.int64())))

    def _is_fix(self) -> pa.ChunkedArray:
        is_valid, lat, lng = (self._table.column(name) for name in FIX)
        on_earth = pc.and_(
            pc.less_equal(pc.abs(lat), 90.0),
            pc.less_equal(pc.abs(lng), 180.0),
        )
        return pc.and_kleene(is_valid, on_earth)

    def _union(self, column: pa.ChunkedArray) -> list[list[Any]]:
        known = self._reduced(pc.cast(self._table.column("dtc_known"), pa.int8()), "max")
        codes = column.to_pylist()
        first = self._grouped.column("row_min").to_pylist()
        return [
            [
                {code for row in range(start, start + count) for code in codes[row] or ()}
                for start, count in zip(first, self.counts, strict=True)
            ],
            [bool(value) for value in known],
        ]


def _is_number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.less(pc.abs(pc.cast(column, pa.float64())), LARGEST)


def _where(condition: pa.ChunkedArray, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column, null where the condition is not true."""
    return pc.if_else(pc.fill_null(condition, False), column, pa.scalar(None, column.type))
