"""A folder that is whole: what can be said of it before a row is looked at.

`manifest.json` names every file with its SHA-256 and its number of rows. All of it is checked here, so that a
copy that was cut short, a file of another history or a disk error refuses the folder before anything happens.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.backfill.errors import FolderError
from warehouse.backfill.schema import SCHEMAS, check_schema

MANIFEST: Final = "manifest.json"
BATCH_ROWS: Final = 131_072
"""Rows that are looked at together, about 25 MB of signals."""
_MAX_MANIFEST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class HistoryFolder:
    """A whole history on disk."""

    path: Path
    load_id: str
    """The same for the same files, wherever they lie."""
    row_counts: dict[str, int]
    """Rows of each file, by its name."""

    def read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """A file, or some columns of it, at once.

        Raises:
            FolderError: the file cannot be read.
        """
        with _readable(name):
            table = pq.read_table(self.path / name, columns=columns, partitioning=None, use_threads=False)
            table.validate(full=True)
        return table

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """A file in parts of `BATCH_ROWS` rows, in its order.

        Raises:
            FolderError: the file cannot be read.
        """
        with _readable(name), pq.ParquetFile(self.path / name) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
                batch.validate(full=True)
                yield batch


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn what Arrow says about a damaged file into a sentence."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        message = f"{name} cannot be read as Parquet ({type(error).__name__}); nothing was loaded"
        raise FolderError(message) from error


def open_folder(path: Path) -> HistoryFolder:
    """Check a folder against its manifest and the columns of its kind.

    Raises:
        FolderError: a file is missing or damaged, or differs from the manifest or in its columns.
    """
    stated = _stated_files(path)
    digest = hashlib.sha256()
    row_counts = {}
    for name in SCHEMAS:
        if not (path / name).is_file():
            message = f"{path} has no {name}; a history is written by `piston simulate fleet --out FOLDER`"
            raise FolderError(message)
        sha256 = _sha256(path / name)
        entry = stated.get(name)
        if not isinstance(entry, dict) or entry.get("sha256") != sha256:
            message = (
                f"{name} is not the file that {MANIFEST} names (its SHA-256 differs): the copy was cut short "
                f"or the file was changed; nothing was loaded"
            )
            raise FolderError(message)
        row_counts[name] = _checked_rows(path, name, entry.get("rows"))
        digest.update(f"{name}:{sha256}\n".encode())
    return HistoryFolder(path, digest.hexdigest()[:32], row_counts)


def _stated_files(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        message = f"{path} is no folder; name one that `piston simulate fleet --out FOLDER` wrote"
        raise FolderError(message)
    manifest = path / MANIFEST
    try:
        if manifest.stat().st_size > _MAX_MANIFEST_BYTES:
            message = f"{MANIFEST} is larger than {_MAX_MANIFEST_BYTES:,} bytes: it is no manifest"
            raise FolderError(message)
        stated = json.loads(manifest.read_bytes())["files"]
    except FileNotFoundError as error:
        message = f"{path} has no {MANIFEST}: without it nobody can say that the folder is whole"
        raise FolderError(message) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"{MANIFEST} does not name the files of a history ({type(error).__name__}); nothing was loaded"
        )
        raise FolderError(message) from error
    if not isinstance(stated, dict):
        message = f"{MANIFEST} does not name the files of a history; nothing was loaded"
        raise FolderError(message)
    return stated


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{path.name} cannot be read ({type(error).__name__}); nothing was loaded"
        raise FolderError(message) from error


def _checked_rows(path: Path, name: str, stated: object) -> int:
    with _readable(name), pq.ParquetFile(path / name) as file:
        check_schema(name, file.schema_arrow)
        rows = int(file.metadata.num_rows)
    if stated != rows:
        message = f"{name} holds {rows:,} rows, {MANIFEST} says {stated}; nothing was loaded"
        raise FolderError(message)
    return rows
