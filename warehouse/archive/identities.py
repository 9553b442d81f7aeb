"""Which records of some devices the archive holds: what a comparison with a sender's ledger asks for."""

import tempfile
from collections.abc import Collection
from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from telematics.settings import Settings
from warehouse import clients
from warehouse.archive import ledger, parquet
from warehouse.archive.errors import DamagedError
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.storage import ArchiveStorage, open_storage
from warehouse.archive.verification import fetch_whole
from warehouse.progress import Progress, silent

SCHEMA: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("time", pa.timestamp("ms", "UTC")),
        ("event_id", pa.int32()),
        ("content_hash", pa.int64()),
    ]
)
"""Of what is returned."""


def identities(
    settings: Settings,
    device_ids: Collection[str],
    *,
    first: date | None = None,
    until: date | None = None,
    progress: Progress = silent,
) -> pa.Table:
    """The identities of the devices' records in the days that the archive serves, in no order.

    Each file is fetched whole and checked against its SHA-256; one is on disk at a time.

    Args:
        settings: where ledger and archive are.
        device_ids: whose records.
        first: all earlier days too, if None.
        until: the day after the last; all later days too, if None.
        progress: told now and then how far it is.

    Raises:
        DamagedError: a file is not what was archived.
        OfflineError: a file must be restored first.
        StorageError: the storage does not answer.
        UnavailableError: TimescaleDB does not let us in.
    """
    with clients.timescale(settings) as connection:
        files = ledger.current_files(connection, first, until, serving_only=True)
    if not files:
        return SCHEMA.empty_table()
    storage, wanted = open_storage(settings), pa.array(sorted(device_ids), pa.string())
    found = []
    for number, file in enumerate(files, 1):
        found += _of_file(storage, file, wanted)
        if number % 100 == 0:
            progress(f"{number} of {len(files)} archived days read")
    return pa.concat_tables(found)


def _of_file(storage: ArchiveStorage, file: ArchivedFile, device_ids: pa.Array) -> list[pa.Table]:
    with tempfile.NamedTemporaryFile(prefix="piston-archive-") as local:
        fetch_whole(storage, file.key, file.sha256, local)
        try:
            with parquet.open_file(local.name) as stored:
                groups = [
                    parquet.read_group(stored, number, file.key, SCHEMA.names)
                    for number in range(stored.num_row_groups)
                ]
            rows = [parquet.conformed(group, SCHEMA) for group in groups]
        except (pa.ArrowException, OSError) as error:
            message = f"{file.key}: it cannot be read ({type(error).__name__}); see `piston archive verify`"
            raise DamagedError(message) from error
    return [group.filter(pc.is_in(group.column("device_id"), device_ids)) for group in rows]
