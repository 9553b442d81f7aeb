"""Vehicles' records in TimescaleDB: through their devices, along the identity index.

What partners posted for a vehicle stands under their own device ids, among their other vehicles' records;
those with a grant to write are looked through, too. So is what was loaded from histories that name vehicles.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Final, NamedTuple

from psycopg import AsyncConnection, sql

from ingest.stream.readings import PARTNER_PREFIX
from telematics.names import WRITE_SCOPE
from warehouse.columns import BACKFILL_PREFIX
from warehouse.history.cursor import Position
from warehouse.history.fields import Row, position_of
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Span, Tier

AT_ONCE: Final = 3
"""Vehicles asked for at the same time; the pool has a connection more, which is other readers' room."""


class Installation(NamedTuple):
    """A device in a vehicle, for a half-open time; or who posted, or a history that was loaded, for it."""

    device_id: str
    installed_at: datetime | None
    """None: always."""
    removed_at: datetime | None
    """None: still there."""

    def within(self, window: Span) -> tuple[datetime, datetime]:
        """The part of a window in which it was the vehicle's; empty unless it starts before it ends."""
        start = max(window.start, self.installed_at or window.start)
        return start, min(window.end, self.removed_at or window.end)


Devices = Mapping[str, Sequence[Installation]]
"""VIN to its devices; those of no vehicle are left out."""


async def installations(
    connection: AsyncConnection, vins: Sequence[str], start: datetime, end: datetime
) -> Devices:
    """The vehicles' devices in the range, and the partners that were ever let in to write."""
    cursor = await connection.execute(
        """
        select vin, imei, nullif(installed_at, '-infinity'), nullif(removed_at, 'infinity')
        from device_installations
        where vin = any(%s) and installed_at < %s and removed_at > %s
        union all
        select distinct vin, %s || client_id, null::timestamptz, null::timestamptz
        from grants where vin = any(%s) and %s = any(scopes)
        union all
        select vin, device_id, null, null from backfill_devices where vin = any(%s)
        """,
        [list(vins), end, start, PARTNER_PREFIX, list(vins), WRITE_SCOPE, list(vins)],
    )
    found: dict[str, list[Installation]] = {}
    for vin, *installation in await cursor.fetchall():
        found.setdefault(vin, []).append(Installation(*installation))
    return found


async def with_records(
    stores: HistoryStores, vins: Sequence[str], devices: Devices, window: Span
) -> list[str]:
    """Those of the vehicles, in order, that can have records in the window: one query for all of them."""
    wanted = [vin for vin in vins if vin in devices]
    if len(wanted) <= AT_ONCE:
        return wanted
    query = sql.SQL(
        "select device_id from unnest(%s::text[]) as asked (device_id) where exists (select from telemetry "
        "where telemetry.device_id = asked.device_id and time >= {start} and time < {end})"
    ).format(start=sql.Literal(window.start), end=sql.Literal(window.end))
    ids = list({device.device_id for vin in wanted for device in devices[vin]})
    async with stores.timescale() as connection:
        cursor = await connection.execute(query, [ids])
        found = {row[0] for row in await cursor.fetchall()}
    return [vin for vin in wanted if any(device.device_id in found for device in devices[vin])]


async def fetch(
    stores: HistoryStores,
    vins: Sequence[str],
    devices: Devices,
    window: Span,
    after: Position | None,
    fields: Sequence[str],
    count: int,
) -> list[Row]:
    """The first `count` records of the window after a position, in order of their positions.

    Vehicles are read in the order of their VINs, a few at a time, until there are enough records.
    """

    async def read(vin: str) -> list[Row]:
        async with stores.timescale() as connection:
            per_device = [
                await _fetch_device(connection, vin, device, window, after, fields, count)
                for device in devices[vin]
            ]
        return list(islice(merge(*per_device, key=position_of), count))

    return await in_turn(await with_records(stores, vins, devices, window), read, count, at_once=AT_ONCE)


async def in_turn(
    vins: Sequence[str], read: Callable[[str], Awaitable[list[Row]]], count: int, *, at_once: int
) -> list[Row]:
    """Read vehicle after vehicle, some at once, until there are `count` rows; the first `count` of them."""
    rows: list[Row] = []
    at = 0
    while at < len(vins) and len(rows) < count:
        for found in await asyncio.gather(*(read(vin) for vin in vins[at : at + at_once])):
            rows += found
        at += at_once
    return rows[:count]


async def _fetch_device(
    connection: AsyncConnection,
    vin: str,
    device: Installation,
    window: Span,
    after: Position | None,
    fields: Sequence[str],
    count: int,
) -> list[Row]:
    start, end = device.within(window)
    if after is not None:
        start = max(start, after.time)
    if start >= end:
        return []
    # literal bounds, as parameters of a prepared statement would keep the planner from leaving chunks out
    query = sql.SQL(
        "select time, event_id, content_hash{fields} from telemetry "
        "where {within}{beyond} order by time, event_id, content_hash limit {count}"
    ).format(
        fields=sql.Composed([sql.SQL(", {}").format(_expression(vin, name)) for name in fields]),
        within=_records_of(vin, device.device_id, start, end),
        beyond=_beyond(device.device_id, after),
        count=sql.Literal(count),
    )
    cursor = await connection.execute(query)
    device_id = device.device_id
    return [
        Row(
            Position(vin, row[0], device_id, row[1], row[2]),
            Tier.HOT,
            dict(zip(fields, row[3:], strict=True)),
        )
        for row in await cursor.fetchall()
    ]


def _expression(vin: str, name: str) -> sql.Composable:
    # the vehicle asked for, whatever installation the sink knew of when it stamped the row
    return sql.Literal(vin) if name == "vin" else sql.Identifier(name)


def _records_of(vin: str, device_id: str, start: datetime, end: datetime) -> sql.Composable:
    """The condition for a device's records of the vehicle.

    A device's records are the vehicle's while it sits there; posted and loaded ones say whose they are.
    """
    condition = sql.SQL("device_id = {} and time >= {} and time < {}").format(
        sql.Literal(device_id), sql.Literal(start), sql.Literal(end)
    )
    if not device_id.startswith((PARTNER_PREFIX, BACKFILL_PREFIX)):
        return condition
    return sql.SQL("{} and vin = {}").format(condition, sql.Literal(vin))


def _beyond(device_id: str, after: Position | None) -> sql.Composable:
    """The condition for what comes after a position in the order (time, device_id, …) of all devices."""
    if after is None or device_id > after.device_id:
        return sql.SQL("")
    if device_id < after.device_id:
        return sql.SQL(" and time > {}").format(sql.Literal(after.time))
    return sql.SQL(" and (time, event_id, content_hash) > ({}, {}, {})").format(
        sql.Literal(after.time), sql.Literal(after.event_id), sql.Literal(after.content_hash)
    )
