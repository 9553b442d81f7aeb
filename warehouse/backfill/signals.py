"""A load's signals in ClickHouse: one partition, which counts once its mark is written."""

from datetime import datetime
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from telematics.names import ANALYTICS_DATABASE

_SIGNALS: Final = f"{ANALYTICS_DATABASE}.loaded_component_day_signals"
_MARKS: Final = f"{ANALYTICS_DATABASE}.backfill_loads"


def marked_loads(client: Client) -> list[str]:
    """Loads that are whole, in a fixed order."""
    return [
        row[0] for row in client.query(f"select distinct load_id from {_MARKS} order by load_id").result_rows
    ]


def drop_unmarked(client: Client) -> int:
    """Drop what interrupted loads left behind; only the holder of the backfill lock may call this."""
    rows = client.query(
        f"select distinct load_id from {_SIGNALS} where load_id not in (select load_id from {_MARKS})"
    ).result_rows
    for (load_id,) in rows:
        drop(client, load_id)
    return len(rows)


def drop(client: Client, load_id: str) -> None:
    """Drop a load's rows, none there or many."""
    client.command(f"alter table {_SIGNALS} drop partition %(load_id)s", parameters={"load_id": load_id})


def insert(client: Client, load_id: str, rows: pa.RecordBatch) -> None:
    """Add rows to a load's partition."""
    table = pa.Table.from_batches([rows]).append_column(
        "load_id", pa.array([load_id] * len(rows), pa.string())
    )
    client.insert_arrow("loaded_component_day_signals", table, database=ANALYTICS_DATABASE)


def count(client: Client, load_id: str) -> int:
    """Rows that ClickHouse holds of a load."""
    found = client.query(
        f"select count() from {_SIGNALS} where load_id = {{load_id:String}}", parameters={"load_id": load_id}
    )
    return int(found.result_rows[0][0])


def mark(client: Client, load_id: str, row_count: int, completed_at: datetime) -> None:
    """Write the mark: from here on readers see the load, whole."""
    client.insert(
        _MARKS, [(load_id, row_count, completed_at)], column_names=["load_id", "rows", "completed_at"]
    )
