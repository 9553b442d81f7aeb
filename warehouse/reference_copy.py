"""Vehicles and service records from PostgreSQL, where they are written, to ClickHouse, where dbt joins them.

Both are small and change in place, so a copy replaces its table as a whole: the rows are staged beside it,
and one REPLACE PARTITION swaps them in. Readers see the copy before or the copy after. Vehicles and service
records of a load that is not marked as whole stay out (see `warehouse.backfill`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from clickhouse_connect.driver.client import Client
from psycopg import Connection, sql

from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients
from warehouse.backfill import signals
from warehouse.progress import Progress, silent
from warehouse.staging import copy_into

REFERENCE_LOCK: Final = 7_048_124
"""Advisory lock of whoever copies; backfills hold the number before it."""

_VEHICLES: Final = sql.SQL(
    "select vin, origin, make, model, model_year from vehicles as v "
    "where load_id is null or load_id = any ({marked}::text[]) "
    "or exists (select from device_installations as i where i.vin = v.vin)"
)
_SERVICE_RECORDS: Final = sql.SQL(
    "select vin, component, kind, performed_on, recorded_at at time zone 'UTC', odometer_mi, reason "
    "from service_records where load_id is null or load_id = any ({marked}::text[])"
)


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """One call of `copy_reference`."""

    vehicle_count: int
    service_record_count: int
    seconds: float


def copy_reference(settings: Settings, *, progress: Progress = silent) -> ReferenceReport:
    """Replace `analytics.vehicles` and `analytics.service_records` by what PostgreSQL holds.

    May be repeated and interrupted at any time; a staging table that was left behind is dropped by the next.

    Raises:
        UnavailableError: a store does not answer; the copies stay as they were.
    """
    started = time.monotonic()
    with clients.timescale(settings) as connection, clients.clickhouse(settings) as client:
        connection.execute("select pg_advisory_lock(%s)", [REFERENCE_LOCK])
        marked = signals.marked_loads(client)
        vehicles = _replace(client, connection, "vehicles", _VEHICLES.format(marked=sql.Literal(marked)))
        progress(f"{vehicles:,} vehicles copied")
        records = _replace(
            client, connection, "service_records", _SERVICE_RECORDS.format(marked=sql.Literal(marked))
        )
        progress(f"{records:,} service records copied")
    return ReferenceReport(vehicles, records, time.monotonic() - started)


def _replace(client: Client, connection: Connection, table: str, select: sql.Composable) -> int:
    name = f"{ANALYTICS_DATABASE}.{table}"
    with _staging(client, name) as staged:
        count = copy_into(client, connection, select, f"insert into {staged}")
        # a lost connection means a lost lock: find out before anything is swapped
        connection.execute("select 1")
        client.command(
            f"alter table {name} replace partition tuple() from {staged}",
            settings={"allow_replace_partition_from_empty_source": 1},
        )
    return count


@contextmanager
def _staging(client: Client, name: str) -> Iterator[str]:
    """An empty twin of a table; only the holder of the lock may make it."""
    staged = f"{name}__copy"
    client.command(f"drop table if exists {staged} sync")
    client.command(f"create table {staged} as {name}")
    try:
        yield staged
    finally:
        client.command(f"drop table if exists {staged} sync")
