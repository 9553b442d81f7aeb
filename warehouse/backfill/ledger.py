"""A load in PostgreSQL: its row in `backfills`, what was set aside, vehicles and service records."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
from psycopg import Connection

from telematics.settings import Settings
from warehouse import clients
from warehouse.backfill.errors import VehicleOriginError
from warehouse.backfill.rejects import Reject
from warehouse.progress import Progress

BACKFILL_LOCK: Final = 7_048_123
"""Advisory lock of whoever loads a history; the merge of days holds the number before it."""


@dataclass(frozen=True, slots=True)
class Load:
    """A row of `backfills`; counts are of rows that were loaded, days those of the signals."""

    day_rows: int
    service_record_rows: int
    vehicle_rows: int
    rejected_rows: int
    first_day: date | None
    last_day: date | None


@contextmanager
def backfill_lock(settings: Settings, progress: Progress) -> Iterator[Connection]:
    """Hold the right to load histories; yields the connection that holds it, in autocommit.

    Raises:
        UnavailableError: TimescaleDB does not let us in, or the connection was lost.
    """
    with clients.timescale(settings) as connection:
        row = connection.execute("select pg_try_advisory_lock(%s)", [BACKFILL_LOCK]).fetchone()
        if row is None or not row[0]:
            progress("another backfill is at work; waiting for it to finish")
            connection.execute("select pg_advisory_lock(%s)", [BACKFILL_LOCK])
        yield connection


def written_load(connection: Connection, load_id: str) -> Load | None:
    """The load, if everything of it is in this store."""
    row = connection.execute(
        "select day_rows, service_record_rows, vehicle_rows, rejected_rows, first_day, last_day "
        "from backfills where load_id = %s and status <> 'loading'",
        [load_id],
    ).fetchone()
    return None if row is None else Load(*row)


def drop_interrupted(connection: Connection, marked: Sequence[str], load_id: str) -> None:
    """Forget loads that were interrupted, and the one that runs now, if ClickHouse has no mark of them.

    Their vehicles go too, unless something else has come to refer to them. Loads that were once complete
    stay: if ClickHouse lost their marks, the list of their folders is what brings them back.
    """
    with connection.transaction():
        found = connection.execute(
            "select load_id from backfills "
            "where load_id <> all (%s) and (status <> 'complete' or load_id = %s)",
            [list(marked), load_id],
        ).fetchall()
        forgotten = [each for (each,) in found]
        connection.execute("delete from service_records where load_id = any (%s)", [forgotten])
        connection.execute(
            """
            delete from vehicles as v where v.load_id = any (%s)
              and not exists (select from device_installations as i where i.vin = v.vin)
              and not exists (select from service_records as r where r.vin = v.vin)
              and not exists (select from grants as g where g.vin = v.vin)
            """,
            [forgotten],
        )
        connection.execute("delete from backfills where load_id = any (%s)", [forgotten])


def begin(connection: Connection, load_id: str, folder: Path, now: datetime) -> None:
    """Write down that the load is at work."""
    connection.execute(
        "insert into backfills (load_id, folder, status, started_at) values (%s, %s, 'loading', %s) "
        "on conflict (load_id) do update set folder = excluded.folder, status = 'loading', "
        "started_at = excluded.started_at, completed_at = null",
        [load_id, str(folder), now],
    )
    connection.execute("delete from backfill_rejects where load_id = %s", [load_id])


def add_rejects(connection: Connection, load_id: str, rejects: Iterable[Reject]) -> int:
    """Keep rows that were set aside; returns their number."""
    count = 0
    statement = "copy backfill_rejects (load_id, file, row_number, reason, row) from stdin"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for reject in rejects:
            copy.write_row((load_id, reject.file, reject.row_number, reject.reason.value, reject.row))
            count += 1
    return count


def rejected_counts(connection: Connection, load_id: str) -> dict[str, int]:
    """How many rows of the load were set aside, by `file: reason`."""
    rows = connection.execute(
        "select file || ': ' || reason, count(*) from backfill_rejects where load_id = %s "
        "group by 1 order by 1",
        [load_id],
    ).fetchall()
    return {str(what): int(count) for what, count in rows}


def registered_origins(connection: Connection) -> dict[str, str]:
    """Origin of every registered vehicle, by VIN."""
    return dict(connection.execute("select vin, origin from vehicles").fetchall())


def check_origins(registered: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Make sure that no vehicle changes its origin.

    Raises:
        VehicleOriginError: some would; nothing was loaded.
    """
    others = [vin for vin, origin in given.items() if registered.get(vin, origin) != origin]
    if others:
        first = others[0]
        message = (
            f"{len(others)} vehicles of the folder are registered with another origin (the first as "
            f"{registered[first]}, the folder says {given[first]}); a vehicle keeps its origin, so nothing "
            f"was loaded"
        )
        raise VehicleOriginError(message)


def write(
    connection: Connection, load_id: str, vehicles: pa.Table, service_records: pa.Table, load: Load
) -> Load:
    """Register vehicles, add service records and note the load as written, in one transaction.

    What the registry leaves open about a vehicle is filled in, what it says stays. A service record that is
    there already stays as it is. Returns the load with the rows that were really added.

    Raises:
        VehicleOriginError: a vehicle was meanwhile registered with another origin.
    """
    with connection.transaction():
        # writers of the registry take turns, as registration does
        connection.execute("lock table vehicles in share row exclusive mode")
        given = dict(zip(vehicles["vin"].to_pylist(), vehicles["origin"].to_pylist(), strict=True))
        check_origins(registered_origins(connection), given)
        connection.execute(
            """
            insert into vehicles (vin, origin, make, model, model_year, load_id)
            select *, %s from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[])
            on conflict (vin) do update set
                make = coalesce(vehicles.make, excluded.make),
                model = coalesce(vehicles.model, excluded.model),
                model_year = coalesce(vehicles.model_year, excluded.model_year)
            """,
            [
                load_id,
                *(vehicles[name].to_pylist() for name in ("vin", "origin", "make", "model", "model_year")),
            ],
        )
        columns = ("vin", "component", "kind", "performed_on", "recorded_at", "odometer_mi", "reason")
        added = connection.execute(
            f"""
            insert into service_records ({", ".join(columns)}, load_id)
            select *, %s
            from unnest(
                %s::text[], %s::text[], %s::text[], %s::date[], %s::timestamptz[], %s::float8[], %s::text[]
            )
            on conflict (vin, component, kind, performed_on) do nothing
            """,
            [load_id, *(service_records[name].to_pylist() for name in columns)],
        ).rowcount
        connection.execute(
            "update backfills set status = 'written', day_rows = %s, service_record_rows = %s, "
            "vehicle_rows = %s, rejected_rows = %s, first_day = %s, last_day = %s where load_id = %s",
            [
                load.day_rows, added, load.vehicle_rows, load.rejected_rows, load.first_day, load.last_day,
                load_id,
            ],
        )  # fmt: skip
    return Load(load.day_rows, added, load.vehicle_rows, load.rejected_rows, load.first_day, load.last_day)


def complete(connection: Connection, load_id: str, now: datetime) -> None:
    """Note that ClickHouse has the mark; a load that is complete keeps its moment."""
    connection.execute(
        "update backfills set status = 'complete', completed_at = %s "
        "where load_id = %s and status = 'written'",
        [now, load_id],
    )
