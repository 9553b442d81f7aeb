"""A load of telemetry in PostgreSQL: how far it is, what was set aside, whose vehicles it named."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from psycopg import Connection
from psycopg.rows import class_row

from telematics.clock import day_start
from telematics.names import Origin
from warehouse.backfill.telemetry.rejects import Rejects
from warehouse.backfill.telemetry.report import Example
from warehouse.backfill.telemetry.staged import StagedDay


@dataclass(frozen=True, slots=True)
class Load:
    """A row of `telemetry_backfills`."""

    load_id: str
    status: str
    received_at: datetime
    read_rows: int
    loaded_rows: int
    doubled_rows: int
    vehicle_count: int
    registered_vehicles: int


@dataclass(frozen=True, slots=True)
class LoadDay:
    """A day of a load."""

    day: date
    staged_rows: int
    loaded_rows: int
    merged_at: datetime | None


KEPT_OPEN: Final = timedelta(days=30)
"""What was staged of a load that nobody finished for so long is dropped; it would be read anew."""

_COLUMNS = (
    "load_id, status, received_at, read_rows, loaded_rows, doubled_rows, vehicle_count, registered_vehicles"
)


def maybe_load(connection: Connection, load_id: str) -> Load | None:
    """The load, if it was ever begun."""
    with connection.cursor(row_factory=class_row(Load)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from telemetry_backfills where load_id = %s", [load_id]
        ).fetchone()


def open_loads(connection: Connection) -> list[str]:
    """Loads that were begun within `KEPT_OPEN` and are not complete: their tables stay."""
    rows = connection.execute(
        "select load_id from telemetry_backfills where status <> 'complete' and begun_at > now() - %s",
        [KEPT_OPEN],
    ).fetchall()
    return [load_id for (load_id,) in rows]


def begin(connection: Connection, load_id: str, path: str, source: str, now: datetime) -> Load:
    """Write down that the load is at work; one that was begun before keeps its moment."""
    with connection.cursor(row_factory=class_row(Load)) as cursor:
        load = cursor.execute(
            "insert into telemetry_backfills (load_id, path, source, status, received_at) "
            "values (%s, %s, %s, 'reading', %s) "
            "on conflict (load_id) do update set path = excluded.path, begun_at = now() "
            f"returning {_COLUMNS}",
            [load_id, path, source, now],
        ).fetchone()
    if load is None:  # pragma: no cover - an insert that returns always returns
        raise AssertionError
    return load


def read_again(connection: Connection, load_id: str) -> None:
    """Take a load back to its beginning; its moment stays, so its rows stay the same ones."""
    with connection.transaction():
        for table in ("files", "days", "rejects", "reject_counts"):
            connection.execute(f"delete from telemetry_backfill_{table} where load_id = %s", [load_id])
        connection.execute(
            "update telemetry_backfills set status = 'reading', completed_at = null where load_id = %s",
            [load_id],
        )


def finished_files(connection: Connection, load_id: str) -> dict[int, tuple[int, int]]:
    """Rows read and rows staged of each file that was read to its end."""
    rows = connection.execute(
        "select file_number, read_rows, staged_rows from telemetry_backfill_files where load_id = %s",
        [load_id],
    ).fetchall()
    return {number: (read, staged) for number, read, staged in rows}


def finish_file(
    connection: Connection, load_id: str, number: int, name: str, counts: tuple[int, int], rejects: Rejects
) -> None:
    """Write a file down as read, with what was set aside of it, in one transaction.

    Args:
        connection: holds the backfill lock.
        load_id: the load.
        number: the file's.
        name: the file's.
        counts: rows read, and rows staged.
        rejects: of this file.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "insert into telemetry_backfill_files (load_id, file_number, name, read_rows, staged_rows) "
            "values (%s, %s, %s, %s, %s)",
            [load_id, number, name, *counts],
        )
        cursor.executemany(
            "insert into telemetry_backfill_reject_counts values (%s, %s, %s, %s)",
            [(load_id, file, reason.value, count) for (file, reason), count in rejects.counts.items()],
        )
        # two things may be wrong with one place of a file: the first is kept
        cursor.executemany(
            "insert into telemetry_backfill_rejects values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
            [
                (load_id, each.file, each.row_number, each.reason.value, each.detail, each.row)
                for each in rejects.kept()
            ],
        )


def reject_counts(connection: Connection, load_id: str) -> dict[str, int]:
    """How many rows were set aside, by `file: reason`."""
    rows = connection.execute(
        "select file || ': ' || reason, row_count from telemetry_backfill_reject_counts "
        "where load_id = %s order by 1",
        [load_id],
    ).fetchall()
    return {str(what): int(count) for what, count in rows}


def examples(connection: Connection, load_id: str) -> Iterator[Example]:
    """Some of the rows that were set aside, a few of each file and reason."""
    rows = connection.execute(
        "select file, row_number, reason, detail from (select *, row_number() over "
        "(partition by file, reason order by row_number) as place from telemetry_backfill_rejects "
        "where load_id = %s) as numbered where place <= 3 order by file, reason, row_number",
        [load_id],
    ).fetchall()
    return (Example(*row) for row in rows)


def register(connection: Connection, named: Sequence[tuple[str, str]], origin: Origin | None) -> int:
    """Note which device ids name vehicles by VIN, and register new vehicles; returns their number."""
    vins = sorted({vin for _, vin in named if vin})
    registered = 0
    if origin is not None:
        registered = connection.execute(
            "insert into vehicles (vin, origin) select unnest(%s::text[]), %s on conflict do nothing",
            [vins, origin.value],
        ).rowcount
    own = [(device_id, vin) for device_id, vin in named if device_id.startswith("backfill:")]
    connection.execute(
        "insert into backfill_devices (device_id, vin) select * from unnest(%s::text[], %s::text[]) "
        "on conflict do nothing",
        [[device_id for device_id, _ in own], [vin for _, vin in own]],
    )
    return registered


def begin_merge(
    connection: Connection,
    load_id: str,
    days: Sequence[StagedDay],
    vehicles: Sequence[tuple[str, str]],
    origin: Origin | None,
) -> None:
    """All files are staged: vehicles are registered, the days are known, in one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        registered = register(connection, vehicles, origin)
        cursor.executemany(
            "insert into telemetry_backfill_days (load_id, day, staged_rows, loaded_rows) "
            "values (%s, %s, %s, %s)",
            [(load_id, day.day, day.staged_rows, day.loaded_rows) for day in days],
        )
        cursor.execute(
            "update telemetry_backfills set status = 'merging', loaded_rows = %s, doubled_rows = %s, "
            "vehicle_count = %s, registered_vehicles = registered_vehicles + %s, read_rows = "
            "(select coalesce(sum(read_rows), 0) from telemetry_backfill_files where load_id = %s) "
            "where load_id = %s",
            [
                sum(day.loaded_rows for day in days),
                sum(day.staged_rows - day.loaded_rows for day in days),
                len(vehicles),
                registered,
                load_id,
                load_id,
            ],
        )


def days(connection: Connection, load_id: str) -> list[LoadDay]:
    """The load's days, by day."""
    with connection.cursor(row_factory=class_row(LoadDay)) as cursor:
        return cursor.execute(
            "select day, staged_rows, loaded_rows, merged_at from telemetry_backfill_days "
            "where load_id = %s order by day",
            [load_id],
        ).fetchall()


def hot_days(connection: Connection, days: Sequence[date], from_day: date) -> set[date]:
    """Those of the days that TimescaleDB serves: the hot week, and older days with rows that it still holds.

    A day whose hot rows are gone is ClickHouse's or the archive's, whatever its age.

    Args:
        connection: to TimescaleDB.
        days: the days in question.
        from_day: the first day of the hot week.
    """
    dropped = {
        day
        for (day,) in connection.execute(
            "select day from day_loads where day = any (%s::date[]) and hot_dropped_at is not null",
            [list(days)],
        ).fetchall()
    }
    # only the sink's own days can have hot rows
    written = {
        day
        for (day,) in connection.execute(
            "select day from hot_days where day = any (%s::date[])", [list(days)]
        ).fetchall()
    }
    found = set()
    for day in set(days) - dropped:
        if day >= from_day:
            found.add(day)
        elif day in written:
            row = connection.execute(
                "select exists (select from telemetry where time >= %s and time < %s)",
                [day_start(day), day_start(day + timedelta(1))],
            ).fetchone()
            if row and row[0]:
                found.add(day)
    return found


def settle(
    connection: Connection, load_id: str, days: Collection[date], hot: Collection[date], now: datetime
) -> None:
    """In the transaction that writes the day ledger: these days are merged, and who serves them from now on.

    What ClickHouse holds is asked from ClickHouse: a day that never was hot counts as dropped from there.
    """
    connection.execute(
        "update telemetry_backfill_days set merged_at = %s where load_id = %s and day = any (%s::date[])",
        [now, load_id, list(days)],
    )
    connection.execute(
        "update day_loads set hot_dropped_at = clock_timestamp() "
        "where day = any (%s::date[]) and hot_dropped_at is null",
        [[day for day in days if day not in hot]],
    )


def complete(connection: Connection, load_id: str, now: datetime) -> None:
    """All days are merged."""
    connection.execute(
        "update telemetry_backfills set status = 'complete', completed_at = %s where load_id = %s",
        [now, load_id],
    )
