"""A page of one vehicle's history, whatever tiers it lies in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import AsyncConnection

from telematics.errors import ConfigurationError, UnavailableError
from warehouse.history import cursor, hot, tiers, warm
from warehouse.history.cursor import Position
from warehouse.history.fields import Record, checked
from warehouse.history.hot import Row
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Tier

_REPLANS = 5
"""Retention moves days in batches, seconds apart: a page that meets it this often is no accident."""


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `limit` records in order (time, device_id, event_id, content_hash)."""

    records: tuple[Record, ...]
    tiers: tuple[str, ...]
    """Tiers that the records came from, `hot` and `warm`, in order of first use."""
    next: str | None
    """Cursor of the next page; None on the last."""


async def read(
    stores: HistoryStores,
    vin: str,
    start: datetime,
    end: datetime,
    *,
    limit: int = 1000,
    after: str | None = None,
    fields: Sequence[str] | None = None,
) -> Page:
    """One page of a vehicle's records with start <= time < end, oldest first.

    Following `next` gives every record once, also while days move from tier to tier in between. Holds at most
    `limit` + 1 records per device of the vehicle in memory.

    Args:
        stores: the connections.
        vin: the vehicle; whoever asks is allowed to (that is checked elsewhere).
        start: first moment, aware.
        end: the moment after the last, aware.
        limit: most records on the page.
        after: `next` of the page before, of the same query.
        fields: columns to return, see `warehouse.history.FIELDS`; all by default.

    Raises:
        InvalidCursorError: `after` is damaged or belongs to another query.
        ConfigurationError: a field does not exist, or the limit is below 1.
        UnavailableError: a tier does not answer.
    """
    if limit < 1:
        message = f"history of at most {limit} records: the limit must be 1 or more"
        raise ConfigurationError(message)
    names = checked(fields)
    query = cursor.fingerprint(vin, start, end, names)
    position = None if after is None else cursor.decode(after, query)
    rows, used = await _collect(stores, vin, start, end, position, names, limit + 1)
    has_more = len(rows) > limit
    rows = rows[:limit]
    return Page(
        records=tuple(record for _, record in rows),
        tiers=used,
        next=cursor.encode(rows[-1][0], query) if has_more else None,
    )


async def _collect(
    stores: HistoryStores,
    vin: str,
    start: datetime,
    end: datetime,
    after: Position | None,
    names: Sequence[str],
    count: int,
) -> tuple[list[Row], tuple[str, ...]]:
    rows: list[Row] = []
    used: dict[str, None] = {}
    at = start if after is None else max(start, after.time)
    for _ in range(_REPLANS):
        async with stores.timescale() as connection:
            devices = await hot.installations(connection, vin, at, end)
            plan = tiers.spans(at, end, await _dropped_days(connection, at, end))
        for window in tiers.windows(plan):
            wanted = count - len(rows)
            if window.tier is Tier.WARM:
                found = await warm.fetch(stores, vin, window, after, names, wanted)
            else:
                async with stores.timescale() as connection:
                    found = await hot.fetch(connection, vin, devices, window, after, names, wanted)
                    # dropped between plan and read: what was found may lack a day; plan anew from here
                    if await _dropped_days(connection, window.start, window.end):
                        at = window.start
                        break
            if found:
                rows += found
                used[window.tier] = None
            if len(rows) >= count:
                return rows, tuple(used)
        else:
            return rows, tuple(used)
    message = f"history of {start} to {end}: days kept moving between tiers while it was read; try again"
    raise UnavailableError(message)


async def _dropped_days(connection: AsyncConnection, start: datetime, end: datetime) -> list[date]:
    last = (end - timedelta(microseconds=1)).date()
    found = await connection.execute(
        "select day from day_loads where hot_dropped_at is not null and day between %s and %s order by day",
        [start.date(), last],
    )
    return [day for (day,) in await found.fetchall()]
