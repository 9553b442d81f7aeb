"""Rows put into ClickHouse's `telemetry` by the names that they are read by, without a load."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from clickhouse_connect.driver.client import Client

from warehouse import columns, staging, stored
from warehouse.warm_days import TELEMETRY


@contextmanager
def rows_to_store(client: Client, table: str = TELEMETRY) -> Iterator[str]:
    """A table for whole rows, which are inserted at the end into one made like `analytics.telemetry`."""
    given = f"{table}_{uuid.uuid4().hex[:8]}"
    client.command(f"create table {given} engine = Memory empty as {staging.row_select()}")
    try:
        yield given
        into = ", ".join([*stored.stored_names(), *columns.RESOLVED])
        resolved = ", ".join(f"row.{name} as {name}" for name in columns.RESOLVED)
        client.command(
            f"insert into {table} ({into}) {stored.stored_select('row')}, {resolved} from {given} as row",
            settings={"max_partitions_per_insert_block": 0},
        )
    finally:
        client.command(f"drop table {given} sync")


def insert_rows(client: Client, rows: Sequence[Mapping[str, Any]], table: str = TELEMETRY) -> None:
    """Insert rows, all with the same columns."""
    names = list(rows[0])
    with rows_to_store(client, table) as given:
        client.insert(given, [[row[name] for name in names] for row in rows], column_names=names)
