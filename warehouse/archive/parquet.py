"""A day's rows from ClickHouse into a local Parquet file, and a stored file's rows back."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from clickhouse_connect.driver.client import Client

from warehouse import warm_days
from warehouse.archive import layout, sums
from warehouse.archive.errors import DamagedError
from warehouse.archive.storage import CHUNK_BYTES
from warehouse.archive.sums import ContentSums

_TAIL_BYTES = 8
"""A Parquet file ends with its footer's length (4 bytes, little-endian) and the magic number PAR1."""
_MAGIC = b"PAR1"
_SETTINGS = {
    # a day has one partition, ordered by (vin, time): sorting in that order needs little memory
    "optimize_read_in_order": 1,
    "max_bytes_before_external_sort": 1 << 29,
    "max_block_size": layout.ROW_GROUP_ROWS,
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A written file."""

    byte_count: int
    sha256: str
    """Of the whole file."""
    footer_byte_count: int
    footer_sha256: str
    """Of the metadata at its end with the eight bytes after it: what a reader of a part of the file checks,
    besides the checksum of each page."""
    content: ContentSums


def write_day(client: Client, day: date, target: Path) -> FileFacts:
    """Write the day as ClickHouse holds it; one batch of rows is in memory at a time.

    The same rows give the same bytes with the same release of pyarrow.

    Raises:
        UnavailableError: by the client's context, if ClickHouse ends the stream.
    """
    schema = layout.schema()
    query = (
        f"select {layout.select_list()} from {warm_days.TELEMETRY} where {warm_days.WITHIN_DAYS} "
        f"order by {', '.join(layout.ORDER)}"
    )
    content = ContentSums(columns={name: sums.ColumnSums() for name in schema.names})
    stream = client.raw_stream(
        query, warm_days.day_bounds(day, day + timedelta(1)), settings=_SETTINGS, fmt="ArrowStream"
    )
    with stream, pq.ParquetWriter(target, schema, **layout.writer_options()) as writer:
        pending: list[pa.RecordBatch] = []
        rows = 0
        for batch in pa.ipc.open_stream(stream):
            pending.append(batch)
            rows += batch.num_rows
            while rows >= layout.ROW_GROUP_ROWS:
                table = pa.Table.from_batches(pending)
                _write_group(writer, table.slice(0, layout.ROW_GROUP_ROWS), schema, content)
                rest = table.slice(layout.ROW_GROUP_ROWS)
                pending, rows = rest.to_batches(), rest.num_rows
        if rows:
            _write_group(writer, pa.Table.from_batches(pending), schema, content)
    return _facts(target, content)


def _write_group(writer: pq.ParquetWriter, table: pa.Table, schema: pa.Schema, content: ContentSums) -> None:
    table = table.cast(schema).combine_chunks()
    sums.add_batch(content, table)
    writer.write_table(table, row_group_size=layout.ROW_GROUP_ROWS)


def _facts(path: Path, content: ContentSums) -> FileFacts:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        size = file.tell()
        footer = read_footer(file, size, path.name)
    return FileFacts(size, digest.hexdigest(), len(footer), hashlib.sha256(footer).hexdigest(), content)


def read_footer(file: BinaryIO, size: int, key: str) -> bytes:
    """The metadata at the end of a Parquet file with the eight bytes after it.

    Raises:
        DamagedError: the end is not that of a Parquet file.
    """
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little") + _TAIL_BYTES
    if tail[4:] != _MAGIC or length > size:
        message = f"{key}: it does not end as a Parquet file does"
        raise DamagedError(message)
    file.seek(size - length)
    return file.read(length)


def open_file(file: BinaryIO | str) -> pq.ParquetFile:
    """A stored file, whose pages are checked against their checksums as they are read."""
    return pq.ParquetFile(file, page_checksum_verification=True)


def batches(file: pq.ParquetFile, names: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a file, a row group at a time."""
    for number in range(file.num_row_groups):
        yield from file.read_row_group(number, columns=names).to_batches()


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns: those that an older file lacks are null, unknown ones go."""
    arrays = [
        table.column(field.name).cast(field.type)
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
