"""Pages of vehicles' histories, whatever tiers they lie in.

Rows come in the order (vin, time, device_id, event_id, content_hash): one vehicle after the other. A page
first goes on in the vehicle that its cursor names, then reads those that follow, several at once: a stretch
of time for all of them, then the next stretch for those alone whose rows can still be on the page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from psycopg import AsyncConnection

from telematics.errors import ConfigurationError, UnavailableError
from warehouse.history import archive, archive_buckets, cursor, hot, hot_buckets, tiers, warm, warm_buckets
from warehouse.history.aggregates import aggregates_of
from warehouse.history.cursor import Position
from warehouse.history.fields import Record, Row, checked, position_of
from warehouse.history.resolution import Resolution, bucket_start
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Span, Tier

_REPLANS = 5
"""Retention moves days in batches, seconds apart: a page that meets it this often is no accident."""
_MOST_VEHICLES = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `limit` records in order (time, device_id, event_id, content_hash), or buckets by time."""

    records: tuple[Record, ...]
    tiers: tuple[str, ...]
    """Tiers that the records came from, `hot`, `warm`, `cold` and `archive`, in order of first use."""
    next: str | None
    """Cursor of the next page; None on the last."""
    pending_days: tuple[date, ...] = ()
    """Days between the page's first and last moment that are left out: their files must be restored first.
    They have been asked for."""


@dataclass(frozen=True, slots=True)
class VehiclePart:
    """What a page holds of one vehicle."""

    vin: str
    records: tuple[Record, ...]
    tiers: tuple[str, ...]
    """As in `Page`."""
    pending_days: tuple[date, ...] = ()
    """As in `Page`."""


@dataclass(frozen=True, slots=True)
class FleetPage:
    """Up to `limit` records of several vehicles, one vehicle after the other, in the order of their VINs."""

    vehicles: tuple[VehiclePart, ...]
    """Those that the page covers; one without records in the range stands on the page that passes it."""
    next: str | None
    """Cursor of the next page; None on the last."""


@dataclass(frozen=True, slots=True)
class _Query:
    """What is asked of every tier."""

    end: datetime
    fields: tuple[str, ...]
    resolution: Resolution


async def read(
    stores: HistoryStores,
    vin: str,
    start: datetime,
    end: datetime,
    *,
    limit: int = 1000,
    after: str | None = None,
    fields: Sequence[str] | None = None,
    resolution: Resolution = Resolution.RAW,
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
        fields: columns to return, see `warehouse.history.FIELDS`; all by default. Of buckets: columns whose
            aggregates to return, see `warehouse.history.AGGREGATES`.
        resolution: records, or buckets of a minute, an hour or a day, which count only records of the range.

    Raises:
        InvalidCursorError: `after` is damaged or belongs to another query.
        ConfigurationError: a field does not exist, or the limit is below 1.
        DamagedError: an archived file is not what was archived; the message names it.
        UnavailableError: a tier does not answer.
    """
    query = _Query(end, checked(fields, resolution), resolution)
    owner = cursor.fingerprint(vin, start, end, query.fields, resolution)
    page = await _page(stores, [vin], start, query, owner, limit, after)
    [part] = page.vehicles or (VehiclePart(vin, (), ()),)
    return Page(part.records, part.tiers, page.next, part.pending_days)


async def read_fleet(
    stores: HistoryStores,
    vins: Iterable[str],
    start: datetime,
    end: datetime,
    *,
    limit: int = 1000,
    after: str | None = None,
    fields: Sequence[str] | None = None,
    resolution: Resolution = Resolution.RAW,
) -> FleetPage:
    """One page of several vehicles' records: the same as `read` gives of each, one vehicle after the other.

    `next` may be followed with fewer vehicles than before; those that come later are then left out. Arguments
    and errors are those of `read`.

    Raises:
        ConfigurationError: more than 1,000 vehicles at once, too.
    """
    query = _Query(end, checked(fields, resolution), resolution)
    owner = cursor.fingerprint("", start, end, query.fields, resolution)
    wanted = sorted(set(vins))
    if len(wanted) > _MOST_VEHICLES:
        message = f"history of {len(wanted)} vehicles: at most {_MOST_VEHICLES} are read at once"
        raise ConfigurationError(message)
    return await _page(stores, wanted, start, query, owner, limit, after)


async def _page(
    stores: HistoryStores,
    vins: Sequence[str],
    start: datetime,
    query: _Query,
    owner: bytes,
    limit: int,
    after: str | None,
) -> FleetPage:
    if limit < 1:
        message = f"history of at most {limit} records: the limit must be 1 or more"
        raise ConfigurationError(message)
    position = None if after is None else cursor.decode(after, owner)
    if position is not None:
        vins = [vin for vin in vins if vin >= position.vin]
    rows, pending = await _gather(stores, vins, start, position, query, limit + 1)
    has_more = len(rows) > limit
    rows = rows[:limit]
    last = rows[-1].position if has_more else None
    return FleetPage(
        vehicles=tuple(_parts(vins, rows, pending, position, last)),
        next=None if last is None else cursor.encode(last, owner),
    )


def _parts(
    vins: Sequence[str],
    rows: Sequence[Row],
    pending: Sequence[tuple[date, Sequence[str]]],
    after: Position | None,
    last: Position | None,
) -> Iterable[VehiclePart]:
    """What the page holds of each vehicle that it covers."""
    of_vehicle = {vin: list(part) for vin, part in groupby(rows, key=lambda row: row.position.vin)}
    days_of_vehicle: dict[str, set[date]] = {}
    for day, asked in pending:
        for vin in asked:
            days_of_vehicle.setdefault(vin, set()).add(day)
    for vin in vins:
        if last is not None and vin > last.vin:
            return
        found = of_vehicle.get(vin, [])
        days = sorted(days_of_vehicle.get(vin, ()))
        if last is not None and vin == last.vin:
            # a day beyond the page's last record is the next page's matter
            days = [day for day in days if day <= last.time.date()]
        if after is not None and vin == after.vin and not found and not days and len(vins) > 1:
            continue  # the page before ended with its last record
        yield VehiclePart(
            vin,
            tuple(row.record for row in found),
            tuple(dict.fromkeys(row.tier for row in found)),
            tuple(days),
        )


async def _gather(
    stores: HistoryStores,
    vins: Sequence[str],
    start: datetime,
    after: Position | None,
    query: _Query,
    count: int,
) -> tuple[list[Row], list[tuple[date, Sequence[str]]]]:
    """The first `count` rows after a position, and the days left out for which vehicles."""
    rows: list[Row] = []
    pending: list[tuple[date, Sequence[str]]] = []
    if after is not None and vins and vins[0] == after.vin:
        width = query.resolution.width
        at = max(start, after.time + width)
        beyond = after if query.resolution is Resolution.RAW else None
        rows, pending = await _collect(stores, vins[:1], at, beyond, query, count)
        vins = vins[1:]
    size = _first_block(len(vins), start, query, count)
    while vins and len(rows) < count:
        found, left = await _collect(stores, vins[:size], start, None, query, count - len(rows))
        rows += found
        pending += left
        vins, size = vins[size:], size * 2
    return rows, pending


def _first_block(vehicles: int, start: datetime, query: _Query, count: int) -> int:
    """How many vehicles to begin with.

    Records are read in the order in which they lie, as many as needed: all vehicles at once. Buckets must be
    computed first: no more vehicles than fill the page if they have data in every bucket.
    """
    if query.resolution is Resolution.RAW:
        return max(1, vehicles)
    width = query.resolution.width
    per_vehicle = max(1, (query.end - bucket_start(start, width)) // width)
    return max(1, -(-count // per_vehicle))


async def _collect(
    stores: HistoryStores,
    vins: Sequence[str],
    at: datetime,
    after: Position | None,
    query: _Query,
    count: int,
) -> tuple[list[Row], list[tuple[date, Sequence[str]]]]:
    """The first `count` rows of these vehicles from a moment on; `after` is of the only one."""
    for _ in range(_REPLANS):
        rows: list[Row] = []
        pending: list[tuple[date, Sequence[str]]] = []
        read_until = at
        async with stores.timescale() as connection:
            devices = await hot.installations(connection, vins, at, query.end)
            moved = await _moved_days(connection, at, query.end)
        for window in tiers.windows(tiers.spans(at, query.end, moved), first=_first_window(query, count)):
            asked = _asked(vins, rows, count)
            if not asked:
                break
            wanted = count - sum(row.position.vin <= asked[0] for row in rows)
            found = await _fetch(stores, asked, devices, window, after, query, wanted)
            rows = sorted([*rows, *found.rows], key=position_of)[:count] if found.rows else rows
            pending += found.pending
            read_until = window.end
        async with stores.timescale() as connection:
            now = await _moved_days(connection, at, read_until)
        if all(
            # an archived file stays, whatever becomes of its day
            moved.get(day) in (tier, Tier.ARCHIVE)
            for day, tier in now.items()
        ):
            return rows, pending
        # moved between plan and read: what was found may lack a day
    message = f"history of {at} to {query.end}: days kept moving between tiers while it was read; try again"
    raise UnavailableError(message)


def _first_window(query: _Query, count: int) -> timedelta:
    """How far to look at first: buckets of a full page, if there is data in each of them."""
    if query.resolution is Resolution.RAW:
        return tiers.FIRST_WINDOW
    return min(max(tiers.FIRST_WINDOW, count * query.resolution.width), tiers.LARGEST_WINDOW)


def _asked(vins: Sequence[str], rows: Sequence[Row], count: int) -> Sequence[str]:
    """The vehicles whose later rows can still be among the first `count`."""
    if len(rows) < count:
        return vins
    last = rows[-1].position.vin
    return [vin for vin in vins if vin < last]


async def _fetch(
    stores: HistoryStores,
    vins: Sequence[str],
    devices: hot.Devices,
    window: Span,
    after: Position | None,
    query: _Query,
    count: int,
) -> archive.Found:
    """The window's first `count` rows from its tier."""
    if query.resolution is Resolution.RAW:
        fields = query.fields
        if window.tier is Tier.ARCHIVE:
            columns, rows_of = archive.columns_of_records(fields), archive.records_of(fields, after)
            moment = None if after is None else after.time
            return await archive.fetch(stores, vins, window, moment, columns, rows_of, count)
        if window.tier is Tier.WARM:
            return archive.Found(await warm.fetch(stores, vins, window, after, fields, count), [])
        return archive.Found(await hot.fetch(stores, vins, devices, window, after, fields, count), [])
    aggregates, width = aggregates_of(query.fields), query.resolution.width
    if window.tier is Tier.ARCHIVE:
        columns = archive_buckets.columns_of_buckets(aggregates)
        rows_of = archive_buckets.buckets_of(aggregates, width)
        return await archive.fetch(stores, vins, window, None, columns, rows_of, count)
    if window.tier is Tier.WARM:
        return archive.Found(await warm_buckets.fetch(stores, vins, window, aggregates, width, count), [])
    return archive.Found(await hot_buckets.fetch(stores, vins, devices, window, aggregates, width, count), [])


async def _moved_days(connection: AsyncConnection, start: datetime, end: datetime) -> dict[date, Tier]:
    """The tier of every day of the range whose hot rows are gone."""
    found = await connection.execute(
        "select day, warm_dropped_at is not null from day_loads "
        "where hot_dropped_at is not null and day between %s and %s",
        [start.date(), (end - timedelta(microseconds=1)).date()],
    )
    return {day: Tier.ARCHIVE if is_archived else Tier.WARM for day, is_archived in await found.fetchall()}
