"""Single vehicles' rows of archived days, read from the storage in parts.

A lookup reads the footer, then one or two row groups whole: rows lie in the order of VINs, so the statistics
tell which groups can hold the vehicle. The footer is checked against the SHA-256 that the ledger keeps of it,
a row group against the SHA-256 that the footer keeps of it, so nothing damaged is ever returned.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.archive import layout, parquet
from warehouse.archive.errors import DamagedError, MissingObjectError, NotRestoredError, OfflineError
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.storage import ArchiveStorage

_IDENTITY: Final = ("time", "device_id", "event_id", "content_hash")
_MICROSECONDS: Final = pa.timestamp("us", "UTC")
_KEPT_FOOTERS: Final = 256
"""Footers are a few kB; those of a page's days are asked for again by the next page."""


class ArchiveReader:
    """Reads files of one storage; threads may share it."""

    def __init__(self, storage: ArchiveStorage) -> None:
        self._storage = storage
        self._footers: dict[str, pq.FileMetaData] = {}
        self._lock = Lock()

    def vehicle_rows(
        self, file: ArchivedFile, vins: Sequence[str], start: datetime, end: datetime, names: Sequence[str]
    ) -> pa.Table:
        """The vehicles' rows with start <= time < end, in order of VIN and identity, with these columns too.

        Columns that the file lacks are null.

        Raises:
            NotRestoredError: the file lies in an offline storage class.
            DamagedError: it is not what was archived.
            StorageError: the storage does not answer.
        """
        if file.damage is not None:
            raise DamagedError(file.damage)
        schema = layout.schema()
        wanted = pa.schema([schema.field(name) for name in dict.fromkeys((*_IDENTITY, "vin", *names))])
        try:
            with self._storage.open(file.key) as source:
                metadata = self._metadata(file, source)
                tables = [
                    parquet.read_group(
                        pq.ParquetFile(_fetch_group(file, source, metadata, number), metadata=metadata),
                        number,
                        file.key,
                        wanted.names,
                    )
                    for number in sorted({n for vin in vins for n in row_groups(metadata, vin, start, end)})
                ]
        except OfflineError as error:
            raise NotRestoredError((file.day,)) from error
        except MissingObjectError as error:
            raise DamagedError(str(error)) from error
        except (pa.ArrowException, OSError) as error:
            message = f"{file.key}: it cannot be read ({type(error).__name__}); see `piston archive verify`"
            raise DamagedError(message) from error
        if not tables:
            return wanted.empty_table()
        rows = parquet.conformed(pa.concat_tables(tables), wanted)
        within = (
            pc.field("vin").isin(list(vins))
            & (pc.field("time") >= pa.scalar(start, _MICROSECONDS))
            & (pc.field("time") < pa.scalar(end, _MICROSECONDS))
        )
        return rows.filter(within).sort_by([(name, "ascending") for name in ("vin", *_IDENTITY)])

    def _metadata(self, file: ArchivedFile, source: Any) -> pq.FileMetaData:
        with self._lock:
            if (known := self._footers.get(file.key)) is not None:
                return known
        footer = parquet.read_footer(source, file.byte_count, file.key)
        if hashlib.sha256(footer).hexdigest() != file.footer_sha256:
            message = f"{file.key}: its footer is not the one that was archived; see `piston archive verify`"
            raise DamagedError(message)
        metadata = pq.read_metadata(pa.BufferReader(footer_alone(footer)))
        with self._lock:
            while len(self._footers) >= _KEPT_FOOTERS:
                self._footers.pop(next(iter(self._footers)))
            self._footers[file.key] = metadata
        return metadata


class _PartOfFile(io.RawIOBase):
    """One row group of a file that is as long as the whole and holds nothing else.

    Raises `OSError` when anything else is read.
    """

    def __init__(self, group: parquet.RowGroup, content: bytes, size: int) -> None:
        self._group = group
        self._content = content
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        start = self._at - self._group.offset
        if start < 0 or size < 0 or start + size > len(self._content):
            message = "a part of the file that was not fetched"
            raise OSError(message)
        self._at += size
        return self._content[start : start + size]


def _fetch_group(file: ArchivedFile, source: BinaryIO, metadata: pq.FileMetaData, number: int) -> _PartOfFile:
    group = parquet.row_groups(metadata, file.key)[number]
    source.seek(group.offset)
    content = source.read(group.byte_count)
    if hashlib.sha256(content).hexdigest() != group.sha256:
        message = f"{file.key}: a row group is not what was archived; see `piston archive verify`"
        raise DamagedError(message)
    return _PartOfFile(group, content, file.byte_count)


def footer_alone(footer: bytes) -> bytes:
    """A footer as a file that a Parquet reader accepts, to read the metadata from."""
    return b"PAR1" + footer


def row_groups(metadata: pq.FileMetaData, vin: str, start: datetime, end: datetime) -> Iterator[int]:
    """Row groups that can hold rows of the vehicle in the range, by their statistics."""
    names = metadata.schema.names
    vin_column, time_column = names.index("vin"), names.index("time")
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        vins = group.column(vin_column).statistics
        if vins is not None and vins.has_min_max and not vins.min <= vin <= vins.max:
            continue
        times = group.column(time_column).statistics
        if times is not None and times.has_min_max and (times.max < start or times.min >= end):
            continue
        yield number
