"""Buckets of vehicles' records in TimescaleDB, computed there."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from psycopg import AsyncConnection, sql

from ingest.stream.readings import PARTNER_PREFIX
from warehouse.columns import SEPARATOR
from warehouse.history.aggregates import (
    DATA_POINTS,
    LARGEST,
    SCALE,
    SOURCE,
    Aggregate,
    Kind,
    columns_read,
    finished_all,
)
from warehouse.history.cursor import Position
from warehouse.history.fields import Row
from warehouse.history.hot import Devices, with_records
from warehouse.history.resolution import EPOCH
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Span, Tier

_VEHICLES_A_QUERY: Final = 64
"""More would compute what a full page does not need."""

# one order for all of them, so that PostgreSQL sorts a bucket once
_LAST: Final = "(array_agg({value} order by time desc, content_hash desc) filter (where {condition}))[1]"
_FIX: Final = "is_valid and lat between -90 and 90 and lng between -180 and 180"
_NUMBER: Final = "abs({value}::float8) < {largest}"

_PARTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.LAST: (_LAST.format(value="{value}", condition="{given} is not null"),),
    Kind.LAST_FIX: (_LAST.format(value="{value}", condition=_FIX),),
    Kind.MEAN: (
        f"(sum(floor({{value}}::float8 * {{scale}} + 0.5)::bigint) filter (where {_NUMBER}))::bigint",
        f"count(*) filter (where {_NUMBER})",
    ),
    Kind.LEAST: (f"min({{value}}) filter (where {_NUMBER})",),
    Kind.GREATEST: (f"max({{value}}) filter (where {_NUMBER})",),
    Kind.NEWEST: ("max({value})",),
    Kind.ANY: ("bool_or({value})",),
    Kind.UNION: (
        "string_agg(distinct array_to_string({value}, {separator}), {separator})",
        "bool_or({value} is not null)",
    ),
    Kind.DISTANCE: tuple(
        f"{function}({value}) filter (where {_NUMBER})"
        for value in ("{value}", "{source}")
        for function in ("min", "max")
    ),
}


async def fetch(
    stores: HistoryStores,
    vins: Sequence[str],
    devices: Devices,
    window: Span,
    aggregates: Sequence[Aggregate],
    width: timedelta,
    count: int,
) -> list[Row]:
    """The window's first `count` buckets in order of VIN and time."""
    vins = await with_records(stores, vins, devices, window)
    rows: list[Row] = []
    for at in range(0, len(vins), _VEHICLES_A_QUERY):
        if len(rows) >= count:
            break
        some = vins[at : at + _VEHICLES_A_QUERY]
        async with stores.timescale() as connection:
            rows += await _fetch_some(connection, some, devices, window, aggregates, width, count - len(rows))
    return rows


async def _fetch_some(
    connection: AsyncConnection,
    vins: Sequence[str],
    devices: Devices,
    window: Span,
    aggregates: Sequence[Aggregate],
    width: timedelta,
    count: int,
) -> list[Row]:
    columns = sql.SQL(", ").join(
        sql.Identifier(name) for name in dict.fromkeys(("time", "content_hash", *columns_read(aggregates)))
    )
    sittings = [
        sql.SQL("({})").format(
            sql.SQL(", ").join(
                map(
                    sql.Literal,
                    (vin, device.device_id, start, end, device.device_id.startswith(PARTNER_PREFIX)),
                )
            )
        )
        for vin in vins
        for device in devices[vin]
        for start, end in [device.within(window)]
        if start < end
    ]
    if not sittings:
        return []
    # `offset 0` keeps the look-up by device, along the index, whatever the planner thinks of a join;
    # literal bounds of the window leave chunks out
    query = sql.SQL(
        "select asked, date_bin({width}, time, {epoch}) as bucket, count(*){parts} "
        "from (values {sittings}) as sittings (asked, device, since, until, is_partner) "
        "cross join lateral (select {columns} from telemetry where device_id = device "
        "and time >= {start} and time < {end} and time >= since and time < until "
        # a device's records are the vehicle's for as long as it sits there; a partner's say whose they are
        "and (not is_partner or vin = asked) offset 0) as records "
        'group by asked, bucket order by asked collate "C", bucket limit {count}'
    ).format(
        sittings=sql.SQL(", ").join(sittings),
        columns=columns,
        start=sql.Literal(window.start),
        end=sql.Literal(window.end),
        width=sql.Literal(width),
        epoch=sql.Literal(EPOCH),
        parts=sql.Composed(
            [
                sql.SQL(", {}").format(_part(text, aggregate))
                for aggregate in aggregates
                for text in _PARTS[aggregate.kind]
            ]
        ),
        count=sql.Literal(count),
    )
    cursor = await connection.execute(query)
    return [
        Row(
            Position(vin, bucket),
            Tier.HOT,
            {
                "time": bucket,
                DATA_POINTS: data_points,
                **finished_all(aggregates, _split(aggregates, list(parts))),
            },
        )
        for vin, bucket, data_points, *parts in await cursor.fetchall()
    ]


def _part(text: str, aggregate: Aggregate) -> sql.Composable:
    return sql.SQL(text).format(
        value=sql.Identifier(aggregate.column),
        given=sql.Identifier(aggregate.given),
        source=sql.Identifier(SOURCE),
        separator=sql.Literal(SEPARATOR),
        scale=sql.Literal(SCALE),
        largest=sql.Literal(LARGEST),
    )


def _split(aggregates: Sequence[Aggregate], parts: list[object]) -> list[object]:
    """The parts, joined trouble codes taken apart again."""
    at = 0
    for aggregate in aggregates:
        if aggregate.kind is Kind.UNION and isinstance(joined := parts[at], str):
            parts[at] = [code for code in joined.split(SEPARATOR) if code]
        at += len(_PARTS[aggregate.kind])
    return parts
