"""Archived days back into ClickHouse, for a load that merges them with late rows or builds them anew."""

import tempfile

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from warehouse.archive import layout, parquet
from warehouse.archive.errors import DamagedError
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.storage import ArchiveStorage
from warehouse.archive.verification import fetch_whole


def insert_file(client: Client, storage: ArchiveStorage, file: ArchivedFile, table: str) -> int:
    """Insert a whole archived file into a table of whole rows (`staging.rows_table`); returns their number.

    Raises:
        DamagedError: the file is not what was archived; name and reason are in the message.
        OfflineError: it must be restored first.
        StorageError: the storage does not answer.
    """
    schema = layout.schema()
    row_count = 0
    with tempfile.NamedTemporaryFile(prefix="piston-archive-") as local:
        fetch_whole(storage, file.key, file.sha256, local)
        try:
            with parquet.open_file(local.name) as stored:
                for batch in parquet.batches(stored, file.key):
                    rows = parquet.conformed(pa.Table.from_batches([batch]), schema)
                    client.insert_arrow(table, rows)
                    row_count += rows.num_rows
        except (pa.ArrowException, OSError) as error:
            message = f"{file.key}: it cannot be read ({type(error).__name__})"
            raise DamagedError(message) from error
    return row_count
