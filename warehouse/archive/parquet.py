"""A day's rows from ClickHouse into a local Parquet file, and a stored file's rows back."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from clickhouse_connect.driver.client import Client

from warehouse import warm_days
from warehouse.archive import derived, layout, sums
from warehouse.archive.errors import DamagedError, ParityError
from warehouse.archive.storage import CHUNK_BYTES
from warehouse.archive.sums import ContentSums

_TAIL_BYTES = 8
"""A Parquet file ends with its footer's length (4 bytes, little-endian) and the magic number PAR1."""
_MAGIC = b"PAR1"
_GROUPS_KEY = "piston.row_groups"
"""Entry of the footer's key-value metadata: place and SHA-256 of each row group."""
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
    """Of the metadata at its end with the eight bytes after it. The metadata hold the SHA-256 of each row
    group, so whoever reads a part of the file can check what was read."""
    content: ContentSums
    """Of the rows, with the columns that the file leaves out."""
    derived: Mapping[str, str] = field(default_factory=dict)
    """Columns that the file leaves out → how others of the same row say them."""


class RowGroup(NamedTuple):
    """Where a row group lies in its file, and what it is."""

    offset: int
    byte_count: int
    sha256: str


class _HashingFile(io.RawIOBase):
    """A file to write to that knows the SHA-256 of each of its parts."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._start = self._end = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._digest.update(data)
        count = self._file.write(data)
        self._end += count
        return count

    def tell(self) -> int:
        return self._end

    def next_part(self) -> RowGroup:
        """What was written since the last call."""
        part = RowGroup(self._start, self._end - self._start, self._digest.hexdigest())
        self._start, self._digest = self._end, hashlib.sha256()
        return part


def write_day(client: Client, day: date, target: Path) -> FileFacts:
    """Write the day as ClickHouse holds it; one batch of rows is in memory at a time.

    The same rows give the same bytes with the same release of pyarrow.

    Raises:
        ParityError: the day changed meanwhile, or ClickHouse and `derived` reckon miles differently.
        UnavailableError: by the client's context, if ClickHouse ends the stream.
    """
    bounds = warm_days.day_bounds(day, day + timedelta(1))
    rows = f"from {warm_days.TELEMETRY} where {warm_days.WITHIN_DAYS}"
    differing = client.query(
        f"select 1 {rows} and {derived.CLICKHOUSE_DIFFERING} limit 1", parameters=bounds
    ).result_rows
    query = f"select {layout.select_list()} {rows} order by {', '.join(layout.ORDER)}"
    with client.raw_stream(query, bounds, settings=_SETTINGS, fmt="ArrowStream") as stream:
        return write_rows(pa.ipc.open_stream(stream), target, leaves_out_odometer=not differing)


def write_rows(batches: Iterable[pa.RecordBatch], target: Path, *, leaves_out_odometer: bool) -> FileFacts:
    """Write rows that come in the archive's order.

    Raises:
        ParityError: the odometer was to be left out, and a row's metres do not say it.
    """
    schema = layout.schema()
    content = ContentSums(columns={name: sums.ColumnSums() for name in schema.names})
    said = dict(derived.WORDS) if leaves_out_odometer else {}
    stored = pa.schema([column for column in schema if column.name not in said])
    groups: list[RowGroup] = []
    with (
        target.open("wb") as file,
        _HashingFile(file) as sink,
        pq.ParquetWriter(sink, stored, **layout.writer_options(stored)) as writer,
    ):
        sink.next_part()  # the magic number at the beginning
        for table in _in_groups(batches):
            group = table.cast(schema).combine_chunks()
            if leaves_out_odometer and not derived.is_derivable(group):
                message = (
                    "a row's odometer is not what its metres say, though it was for every row of the day"
                )
                raise ParityError(message)
            sums.add_batch(content, group)
            writer.write_table(group.select(stored.names), row_group_size=layout.ROW_GROUP_ROWS)
            groups.append(sink.next_part())
        metadata = {_GROUPS_KEY: json.dumps(groups)}
        if said:
            metadata[derived.KEY] = json.dumps(said)
        writer.add_key_value_metadata(metadata)
    return _facts(target, content, said)


def _in_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows as row groups of full size, the last one apart."""
    pending: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        pending.append(batch)
        rows += batch.num_rows
        while rows >= layout.ROW_GROUP_ROWS:
            table = pa.Table.from_batches(pending)
            yield table.slice(0, layout.ROW_GROUP_ROWS)
            rest = table.slice(layout.ROW_GROUP_ROWS)
            pending, rows = rest.to_batches(), rest.num_rows
    if rows:
        yield pa.Table.from_batches(pending)


def _facts(path: Path, content: ContentSums, said: Mapping[str, str]) -> FileFacts:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        size = file.tell()
        footer = read_footer(file, size, path.name)
    return FileFacts(size, digest.hexdigest(), len(footer), hashlib.sha256(footer).hexdigest(), content, said)


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


def row_groups(metadata: pq.FileMetaData, key: str) -> list[RowGroup]:
    """Place and SHA-256 of each row group, as the file's own (checked) metadata have them.

    Raises:
        DamagedError: they have none.
    """
    try:
        groups = [RowGroup(*group) for group in json.loads(metadata.metadata[_GROUPS_KEY.encode()])]
    except (KeyError, TypeError, ValueError) as error:
        message = f"{key}: its metadata do not say what its row groups are"
        raise DamagedError(message) from error
    return groups


def open_file(file: BinaryIO | str) -> pq.ParquetFile:
    """A stored file, whose pages are checked against their checksums as they are read."""
    return pq.ParquetFile(file, page_checksum_verification=True)


def read_group(file: pq.ParquetFile, number: int, key: str, names: Sequence[str] | None = None) -> pa.Table:
    """A row group's rows as they were archived: columns that the file leaves out are derived.

    Args:
        file: as `open_file` opens it.
        number: of the row group.
        key: the file's, for messages.
        names: which columns, as far as the file knows them; all by default.

    Raises:
        DamagedError: it leaves out what cannot be derived.
    """
    schema = file.schema_arrow
    there = list(schema.names)
    if leaves_out := derived.is_left_out(schema, file.metadata.metadata, key):
        if not derived.has_inputs(schema):
            message = f"{key}: it leaves out {derived.NAME} and has not what it is derived from"
            raise DamagedError(message)
        there.append(derived.NAME)
    wanted = there if names is None else [name for name in names if name in there]
    if not leaves_out:
        return file.read_row_group(number, columns=wanted)
    return derived.completed(file.read_row_group(number, columns=derived.needed(wanted)), wanted)


def batches(file: pq.ParquetFile, key: str) -> Iterator[pa.RecordBatch]:
    """The rows of a file as they were archived, a row group at a time.

    Raises:
        DamagedError: see `read_group`.
    """
    for number in range(file.num_row_groups):
        yield from read_group(file, number, key).to_batches()


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns: those that an older file lacks are null, unknown ones go."""
    arrays = [
        table.column(field.name).cast(field.type)
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
