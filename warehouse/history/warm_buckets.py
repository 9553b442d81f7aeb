"""Buckets of vehicles' records in ClickHouse, warm and cold, computed there."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from telematics.clock import from_epoch_ms
from warehouse.history.aggregates import (
    DATA_POINTS,
    LARGEST,
    SCALE,
    SOURCE,
    Aggregate,
    Kind,
    finished_all,
)
from warehouse.history.cursor import Position
from warehouse.history.fields import Row, from_warm, moment_literal, warm_expression, warm_type
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Span
from warehouse.history.warm import WITHIN, tier_of
from warehouse.warm_days import TELEMETRY

# one number, because tuples are compared several times slower: time, then hash, both moved into 64 bits
_NEWEST: Final = (
    "bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(time)), 64),"
    " toUInt128(reinterpretAsUInt64(bitXor(content_hash, toInt64(-9223372036854775808)))))"
)
_FIX: Final = "ifNull(is_valid and lat between -90 and 90 and lng between -180 and 180, false)"
_NUMBER: Final = f"ifNull(abs(toFloat64({{value}})) < {LARGEST}, false)"

_PARTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.LAST: (f"argMaxIf({{value}}, {_NEWEST}, isNotNull({{given}}))",),
    # NaN stands for null, which argMax would pass over
    Kind.LAST_FIX: (f"argMaxOrNullIf(ifNull(toFloat64({{value}}), nan), {_NEWEST}, {_FIX})",),
    Kind.MEAN: (
        # infinities and NaN are no integers, also where the condition leaves them out
        f"sum(toInt64(if({_NUMBER}, floor(toFloat64({{value}}) * {SCALE} + 0.5), 0)))",
        f"countIf({_NUMBER})",
    ),
    Kind.LEAST: (f"minOrNullIf({{value}}, {_NUMBER})",),
    Kind.GREATEST: (f"maxOrNullIf({{value}}, {_NUMBER})",),
    Kind.NEWEST: ("max({value})",),
    Kind.ANY: ("maxOrNull({value})",),
    Kind.UNION: ("toJSONString(groupUniqArrayArray(cast({value}, 'Array(String)')))", "max(dtc_known)"),
    Kind.DISTANCE: (
        *(f"{function}OrNullIf({{value}}, {_NUMBER})" for function in ("min", "max")),
        *(
            f"{function}OrNullIf(cast({SOURCE}, 'Nullable(String)'), {_NUMBER})"
            for function in ("min", "max")
        ),
    ),
}
_OF_THE_COLUMN: Final = frozenset({Kind.LAST, Kind.LAST_FIX, Kind.LEAST, Kind.GREATEST, Kind.NEWEST})
"""Kinds whose one part is a value of the column's own type."""


async def fetch(
    stores: HistoryStores,
    vins: Sequence[str],
    window: Span,
    aggregates: Sequence[Aggregate],
    width: timedelta,
    count: int,
) -> list[Row]:
    """The window's first `count` buckets in order of VIN and time: one query, however many vehicles."""
    parts = [part for aggregate in aggregates for part in _parts(aggregate)]
    selected = "".join(f", {part} as cell_{place}" for place, part in enumerate(parts))
    rows = await stores.clickhouse(
        "select any(_disk_name) as disk, vin as asked, "
        "intDiv(toUnixTimestamp64Milli(time), {width_ms:Int64}) * {width_ms:Int64} as bucket_ms, "
        f"count() as record_count{selected} from {TELEMETRY} where {WITHIN} "
        "group by asked, bucket_ms order by asked, bucket_ms limit {count:UInt32}",
        {
            "vins": list(vins),
            "start": moment_literal(window.start),
            "end": moment_literal(window.end),
            "width_ms": width // timedelta(milliseconds=1),
            "count": count,
        },
    )
    return [_row(row, aggregates) for row in rows]


def _parts(aggregate: Aggregate) -> list[str]:
    value = aggregate.column
    if aggregate.column == SOURCE:
        value = f"cast({SOURCE}, 'Nullable(String)')"
    parts = [text.format(value=value, given=aggregate.given) for text in _PARTS[aggregate.kind]]
    if aggregate.kind is Kind.LAST_FIX:
        kind = warm_type(aggregate.column)
        parts[0] = f"accurateCastOrNull(if(isNaN({parts[0]}), null, {parts[0]}), '{kind}')"
    if aggregate.kind in _OF_THE_COLUMN:
        return [warm_expression(aggregate.column, parts[0])]
    return parts


def _row(cells: Sequence[Any], aggregates: Sequence[Aggregate]) -> Row:
    disk, vin, bucket_ms, count, *parts = cells
    at = 0
    for aggregate in aggregates:
        if aggregate.kind is Kind.UNION:
            parts[at] = json.loads(parts[at])
        elif aggregate.kind is Kind.ANY:
            parts[at] = None if parts[at] is None else bool(parts[at])
        elif aggregate.kind in _OF_THE_COLUMN:
            [parts[at]] = from_warm(aggregate.column, [parts[at]])
        at += len(_PARTS[aggregate.kind])
    bucket = from_epoch_ms(bucket_ms)
    return Row(
        Position(vin, bucket),
        tier_of(disk),
        {"time": bucket, DATA_POINTS: count, **finished_all(aggregates, parts)},
    )
