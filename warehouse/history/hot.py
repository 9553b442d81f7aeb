"""A vehicle's records in TimescaleDB: through its devices, along the identity index.

What partners posted for it stands under their own device ids, among their other vehicles' records; those
with a grant to write are looked through, too. So is what was loaded from histories that name vehicles only.
"""

from collections.abc import Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import NamedTuple

from psycopg import AsyncConnection, sql

from ingest.stream.readings import PARTNER_PREFIX
from telematics.names import WRITE_SCOPE
from warehouse.columns import BACKFILL_PREFIX
from warehouse.history.cursor import Position
from warehouse.history.fields import Record
from warehouse.history.tiers import Span

Row = tuple[Position, Record]


class Installation(NamedTuple):
    """A device in the vehicle, for a half-open time; or who posted, or a history that was loaded, for it."""

    device_id: str
    installed_at: datetime | None
    """None: always."""
    removed_at: datetime | None
    """None: still there."""


async def installations(
    connection: AsyncConnection, vin: str, start: datetime, end: datetime
) -> list[Installation]:
    """The vehicle's devices in the range, and the partners that were ever let in to write."""
    cursor = await connection.execute(
        """
        select imei, nullif(installed_at, '-infinity'), nullif(removed_at, 'infinity')
        from device_installations
        where vin = %s and installed_at < %s and removed_at > %s
        union all
        select distinct %s || client_id, null::timestamptz, null::timestamptz
        from grants where vin = %s and %s = any(scopes)
        union all
        select device_id, null, null from backfill_devices where vin = %s
        """,
        [vin, end, start, PARTNER_PREFIX, vin, WRITE_SCOPE, vin],
    )
    return [Installation(*row) for row in await cursor.fetchall()]


async def fetch(
    connection: AsyncConnection,
    vin: str,
    devices: Sequence[Installation],
    window: Span,
    after: Position | None,
    fields: Sequence[str],
    count: int,
) -> list[Row]:
    """The first `count` records of the window after a position, in order of their positions."""
    per_device = [
        await _fetch_device(connection, vin, device, window, after, fields, count) for device in devices
    ]
    return list(islice(merge(*per_device, key=lambda row: row[0]), count))


async def _fetch_device(
    connection: AsyncConnection,
    vin: str,
    device: Installation,
    window: Span,
    after: Position | None,
    fields: Sequence[str],
    count: int,
) -> list[Row]:
    start = max(window.start, device.installed_at or window.start)
    end = min(window.end, device.removed_at or window.end)
    if after is not None:
        start = max(start, after.time)
    if start >= end:
        return []
    # literal bounds, as parameters of a prepared statement would keep the planner from leaving chunks out
    query = sql.SQL(
        "select time, event_id, content_hash{fields} from telemetry "
        "where device_id = {device}{of_vehicle} and time >= {start} and time < {end}{beyond} "
        "order by time, event_id, content_hash limit {count}"
    ).format(
        fields=sql.Composed([sql.SQL(", {}").format(_expression(vin, name)) for name in fields]),
        device=sql.Literal(device.device_id),
        of_vehicle=_of_vehicle(device.device_id, vin),
        start=sql.Literal(start),
        end=sql.Literal(end),
        beyond=_beyond(device.device_id, after),
        count=sql.Literal(count),
    )
    cursor = await connection.execute(query)
    rows = await cursor.fetchall()
    return [
        (Position(row[0], device.device_id, row[1], row[2]), dict(zip(fields, row[3:], strict=True)))
        for row in rows
    ]


def _expression(vin: str, name: str) -> sql.Composable:
    # the vehicle asked for, whatever installation the sink knew of when it stamped the row
    return sql.Literal(vin) if name == "vin" else sql.Identifier(name)


def _of_vehicle(device_id: str, vin: str) -> sql.Composable:
    """A device's records are the vehicle's while it sits there; posted and loaded ones say whose they are."""
    if not device_id.startswith((PARTNER_PREFIX, BACKFILL_PREFIX)):
        return sql.SQL("")
    return sql.SQL(" and vin = {}").format(sql.Literal(vin))


def _beyond(device_id: str, after: Position | None) -> sql.Composable:
    """The condition for what comes after a position in the order (time, device_id, …) of all devices."""
    if after is None or device_id > after.device_id:
        return sql.SQL("")
    if device_id < after.device_id:
        return sql.SQL(" and time > {}").format(sql.Literal(after.time))
    return sql.SQL(" and (time, event_id, content_hash) > ({}, {}, {})").format(
        sql.Literal(after.time), sql.Literal(after.event_id), sql.Literal(after.content_hash)
    )
