"""A page of one vehicle's history, whatever tiers it lies in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from psycopg import AsyncConnection

from telematics.errors import ConfigurationError, UnavailableError
from warehouse.archive import ledger as archive_ledger
from warehouse.archive.errors import NotRestoredError
from warehouse.history import archive, cursor, hot, tiers, warm
from warehouse.history.cursor import Position
from warehouse.history.fields import Record, checked
from warehouse.history.hot import Row
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Span, Tier

_REPLANS = 5
"""Retention moves days in batches, seconds apart: a page that meets it this often is no accident."""


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `limit` records in order (time, device_id, event_id, content_hash)."""

    records: tuple[Record, ...]
    tiers: tuple[str, ...]
    """Tiers that the records came from, `hot`, `warm`, `cold` and `archive`, in order of first use."""
    next: str | None
    """Cursor of the next page; None on the last."""
    pending_days: tuple[date, ...] = ()
    """Days between the page's first and last moment that are left out: their files must be restored first.
    They have been asked for."""


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
        DamagedError: an archived file is not what was archived; the message names it.
        UnavailableError: a tier does not answer.
    """
    if limit < 1:
        message = f"history of at most {limit} records: the limit must be 1 or more"
        raise ConfigurationError(message)
    names = checked(fields)
    query = cursor.fingerprint(vin, start, end, names)
    position = None if after is None else cursor.decode(after, query)
    rows, used, pending = await _collect(stores, vin, start, end, position, names, limit + 1)
    has_more = len(rows) > limit
    rows = rows[:limit]
    return Page(
        records=tuple(record for _, record in rows),
        tiers=used,
        next=cursor.encode(rows[-1][0], query) if has_more else None,
        # a day beyond the page's last record is the next page's matter
        pending_days=tuple(day for day in pending if not has_more or day <= rows[-1][0].time.date()),
    )


async def _collect(
    stores: HistoryStores,
    vin: str,
    start: datetime,
    end: datetime,
    after: Position | None,
    names: Sequence[str],
    count: int,
) -> tuple[list[Row], tuple[str, ...], list[date]]:
    rows: list[Row] = []
    used: dict[str, None] = {}
    pending: list[date] = []
    at = start if after is None else max(start, after.time)
    for _ in range(_REPLANS):
        async with stores.timescale() as connection:
            devices = await hot.installations(connection, vin, at, end)
            moved = await _moved_days(connection, at, end)
        for window in tiers.windows(tiers.spans(at, end, moved)):
            wanted = count - len(rows)
            found_tiers: Sequence[Tier] = (window.tier,)
            if window.tier is Tier.ARCHIVE:
                # a file stays whatever becomes of its day: no need to look again
                found, left = await _from_archive(stores, vin, window, after, names, wanted)
                pending += left
            elif window.tier is Tier.WARM:
                found, found_tiers = await warm.fetch(stores, vin, window, after, names, wanted)
            else:
                async with stores.timescale() as connection:
                    found = await hot.fetch(connection, vin, devices, window, after, names, wanted)
            if window.tier is not Tier.ARCHIVE:
                # moved between plan and read: what was found may lack a day; plan anew from here
                async with stores.timescale() as connection:
                    now = await _moved_days(connection, window.start, window.end)
                if any(moved.get(day) != tier for day, tier in now.items()):
                    at = window.start
                    break
            if found:
                rows += found
                used |= dict.fromkeys(found_tiers)
            if len(rows) >= count:
                return rows, tuple(used), pending
        else:
            return rows, tuple(used), pending
    message = f"history of {start} to {end}: days kept moving between tiers while it was read; try again"
    raise UnavailableError(message)


async def _moved_days(connection: AsyncConnection, start: datetime, end: datetime) -> dict[date, Tier]:
    """The tier of every day of the range whose hot rows are gone."""
    found = await connection.execute(
        "select day, warm_dropped_at is not null from day_loads "
        "where hot_dropped_at is not null and day between %s and %s",
        [start.date(), (end - timedelta(microseconds=1)).date()],
    )
    return {day: Tier.ARCHIVE if is_archived else Tier.WARM for day, is_archived in await found.fetchall()}


async def _from_archive(
    stores: HistoryStores,
    vin: str,
    window: Span,
    after: Position | None,
    names: Sequence[str],
    count: int,
) -> tuple[list[Row], list[date]]:
    """Records of the window's archived days, and the days that cannot be read yet; these are asked for."""
    last = (window.end - timedelta(microseconds=1)).date()
    async with stores.timescale() as connection:
        files = await archive_ledger.serving_files(connection, window.start.date(), last)
    rows: list[Row] = []
    pending: list[date] = []
    for file in files:
        if len(rows) >= count:
            break
        read_day = partial(
            archive.fetch, file=file, vin=vin, window=window, after=after, fields=names,
            count=count - len(rows),
        )  # fmt: skip
        try:
            rows += await stores.archive(read_day)
        except NotRestoredError:
            pending.append(file.day)
    if pending:
        async with stores.timescale() as connection:
            await archive_ledger.ask_for(connection, pending, "history")
    return rows, pending
