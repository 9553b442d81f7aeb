"""A day's rows from ClickHouse into a local Parquet file, and a stored file's rows back."""

import hashlib
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
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
from warehouse.stored import STATED

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
    """Of the rows as ClickHouse holds them, whatever form the file has them in."""
    derived: Mapping[str, str] = field(default_factory=dict)
    """Columns that the file lacks → how others of the same row say them."""


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
        ParityError: the day changed meanwhile, or ClickHouse and `derived` reckon differently.
        UnavailableError: by the client's context, if ClickHouse ends the stream.
    """
    bounds = warm_days.day_bounds(day, day + timedelta(1))
    rows = f"from {warm_days.TELEMETRY} where {warm_days.WITHIN_DAYS}"
    [[stated]] = client.query(
        f"select groupUniqArrayArray(mapKeys({STATED})) {rows}", parameters=bounds
    ).result_rows
    query = f"select {layout.select_list()} {rows} order by {', '.join(layout.ORDER)}"
    with client.raw_stream(query, bounds, settings=_SETTINGS, fmt="ArrowStream") as stream:
        return write_rows(pa.ipc.open_stream(stream), target, stated=stated)


def write_rows(batches: Iterable[pa.RecordBatch], target: Path, *, stated: Collection[str]) -> FileFacts:
    """Write rows that come in the archive's order.

    Args:
        batches: the rows, by the columns of `layout.schema`.
        target: the file.
        stated: columns with a value in some row that the shorter form of `derived` does not give; names
            without such a form are passed over.

    Raises:
        ParityError: there is another column like that.
    """
    schema = layout.schema()
    content = ContentSums(columns={name: sums.ColumnSums() for name in schema.names})
    rules = derived.rules_but(stated)
    said = derived.words(rules)
    pairs = _with_stored(_in_groups(batches), rules)
    first = next(pairs, None)
    sample = first.stored if first else derived.stored_rows(schema.empty_table(), rules)
    groups: list[RowGroup] = []
    with (
        target.open("wb") as file,
        _HashingFile(file) as sink,
        pq.ParquetWriter(sink, sample.schema, **layout.writer_options(sample)) as writer,
    ):
        sink.next_part()  # the magic number at the beginning
        for group in chain([first] if first else [], pairs):
            sums.add_batch(content, group.rows)
            writer.write_table(group.stored, row_group_size=layout.ROW_GROUP_ROWS)
            groups.append(sink.next_part())
        metadata = {_GROUPS_KEY: json.dumps(groups)}
        if said:
            metadata[derived.KEY] = json.dumps(said, separators=(",", ":"))
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


class _Group(NamedTuple):
    rows: pa.Table
    stored: pa.Table
    """The same as the file has them."""


def _with_stored(tables: Iterable[pa.Table], rules: Sequence[derived.Rule]) -> Iterator[_Group]:
    """Each row group in both forms.

    Raises:
        ParityError: they are not the same to the last bit.
    """
    schema = layout.schema()
    for table in tables:
        rows = table.cast(schema).combine_chunks()
        stored = derived.stored_rows(rows, rules)
        if differing := derived.differing(rows, stored, rules):
            message = (
                f"a row's {', '.join(differing)} is not what the file would say of it, "
                "though ClickHouse names no such row"
            )
            raise ParityError(message)
        yield _Group(rows, stored)


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
    """A row group's rows as they were archived: columns that the file has in another form are derived.

    Args:
        file: as `open_file` opens it.
        number: of the row group.
        key: the file's, for messages.
        names: which columns, as far as the file knows them; all by default.

    Raises:
        DamagedError: it leaves out what cannot be derived.
    """
    schema = file.schema_arrow
    rules = derived.rules_of(schema, file.metadata.metadata, key)
    if lost := [rule.name for rule in rules if not rule.can_be_made(schema)]:
        message = f"{key}: it leaves out {', '.join(lost)} and has not what that is derived from"
        raise DamagedError(message)
    there = derived.names_of(schema, rules)
    wanted = there if names is None else [name for name in names if name in there]
    rows = file.read_row_group(number, columns=derived.needed(wanted, rules))
    return derived.completed(rows, wanted, rules)


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
