"""`day_archives`: the archived files of each day, and which of them serves it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row

from warehouse.archive.manifest import Manifest


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One version of a day, read back and compared when it was written."""

    day: date
    version: int
    key: str
    row_count: int
    byte_count: int
    sha256: str
    footer_byte_count: int
    footer_sha256: str
    storage_class: str
    created_at: datetime
    verified_at: datetime
    damage: str | None
    """What the last verification found; such a file is not served."""
    is_serving: bool
    """The archive is the one to ask for the day, and this file is the one that it asks."""


_COLUMNS = """
    a.day, a.version, a.key, a.row_count, a.byte_count, a.sha256, a.footer_byte_count, a.footer_sha256,
    a.storage_class, a.created_at, a.verified_at, a.damage,
    (l.warm_dropped_at is not null and l.archive_version = a.version) as is_serving
"""


def current_files(
    connection: Connection,
    first: date | None = None,
    until: date | None = None,
    *,
    serving_only: bool = False,
) -> list[ArchivedFile]:
    """The newest file of each day `first` (inclusive) to `until` (exclusive), by day.

    Args:
        connection: to TimescaleDB.
        first: all earlier days too, if None.
        until: all later days too, if None.
        serving_only: leave out days that ClickHouse holds again.
    """
    with connection.cursor(row_factory=class_row(ArchivedFile)) as cursor:
        return cursor.execute(
            f"""
            select {_COLUMNS} from day_archives as a
            join day_loads as l on l.day = a.day and l.archive_version = a.version
            where a.day >= coalesce(%s::date, '-infinity') and a.day < coalesce(%s::date, 'infinity')
              and (l.warm_dropped_at is not null or not %s)
            order by a.day
            """,
            [first, until, serving_only],
        ).fetchall()


def files_of(connection: Connection, days: Sequence[date]) -> dict[date, ArchivedFile]:
    """The file that serves each of these days; days that the archive does not serve are missing."""
    with connection.cursor(row_factory=class_row(ArchivedFile)) as cursor:
        found = cursor.execute(
            f"""
            select {_COLUMNS} from day_archives as a
            join day_loads as l on l.day = a.day and l.archive_version = a.version
            where a.day = any (%s::date[]) and l.warm_dropped_at is not null
            """,
            [list(days)],
        ).fetchall()
    return {file.day: file for file in found}


async def serving_files(connection: AsyncConnection, first: date, last: date) -> list[ArchivedFile]:
    """The files of those days, both ends inclusive, that the archive serves; by day."""
    async with connection.cursor(row_factory=class_row(ArchivedFile)) as cursor:
        found = await cursor.execute(
            f"""
            select {_COLUMNS} from day_archives as a
            join day_loads as l on l.day = a.day and l.archive_version = a.version
            where a.day between %s and %s and l.warm_dropped_at is not null order by a.day
            """,
            [first, last],
        )
        return await found.fetchall()


_ASK = """
    insert into archive_restores (day, day_count, requested_by)
    select day, %s, %s from unnest(%s::date[]) as asked (day)
    on conflict (day) do update set day_count = greatest(archive_restores.day_count, excluded.day_count)
"""
DEFAULT_DAYS = 7
"""How long a restored day stays readable unless somebody says otherwise."""


async def ask_for(connection: AsyncConnection, days: Collection[date], requested_by: str) -> None:
    """Write down that a reader wants these days restored; `restoring.send_requests` asks the storage."""
    await connection.execute(_ASK, [DEFAULT_DAYS, requested_by, sorted(days)])


def note_request(
    connection: Connection, days: Collection[date], requested_by: str, day_count: int = DEFAULT_DAYS
) -> None:
    """The same for whoever holds no asynchronous connection; who asked first stays."""
    connection.execute(_ASK, [day_count, requested_by, sorted(days)])


def all_files(connection: Connection) -> list[ArchivedFile]:
    """Every file ever archived, older versions included, by day and version."""
    with connection.cursor(row_factory=class_row(ArchivedFile)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from day_archives as a left join day_loads as l on l.day = a.day "
            "order by a.day, a.version"
        ).fetchall()


def newest_version(connection: Connection, day: date) -> ArchivedFile | None:
    """The day's newest file, whether it serves the day or not."""
    with connection.cursor(row_factory=class_row(ArchivedFile)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from day_archives as a left join day_loads as l on l.day = a.day "
            "where a.day = %s order by a.version desc limit 1",
            [day],
        ).fetchone()


def hand_over(connection: Connection, manifest: Manifest, verified_at: datetime) -> None:
    """Write down that the file holds the day and serves it from now on; call it in a transaction.

    After its commit the archive is asked, and ClickHouse's partition may go.
    """
    facts = manifest.facts
    connection.execute(
        """
        insert into day_archives (day, version, key, row_count, byte_count, sha256, footer_byte_count,
                                  footer_sha256, storage_class, created_at, verified_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (day, version) do update set verified_at = excluded.verified_at, damage = null
        """,
        [
            manifest.day, manifest.version, manifest.key, facts.content.row_count, facts.byte_count,
            facts.sha256, facts.footer_byte_count, facts.footer_sha256, manifest.storage_class,
            manifest.created_at, verified_at,
        ],
    )  # fmt: skip
    connection.execute(
        "update day_loads set archive_version = %s, warm_dropped_at = clock_timestamp() where day = %s",
        [manifest.version, manifest.day],
    )
    # the new file may lie in an offline class; what was restored of an older one is no word about it
    connection.execute("delete from archive_restores where day = %s", [manifest.day])


def note_verification(
    connection: Connection, file: ArchivedFile, damage: str | None, verified_at: datetime
) -> None:
    """Write down what a verification found; a damaged file is not served until one finds nothing."""
    connection.execute(
        "update day_archives set damage = %s, verified_at = %s where day = %s and version = %s",
        [damage, verified_at, file.day, file.version],
    )
