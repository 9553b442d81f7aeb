"""The files of a history: which they are, in which order, and what they are known by.

A path is a file, a folder (read to any depth, in the order of relative names) or `s3://bucket/prefix` on the
server of the archive's settings. A file's identity is the SHA-256 of its content; of an object it is what the
server knows it by (ETag and size), so that nothing is fetched twice. Names count too: they are what rows that
are set aside are reported by.
"""

import hashlib
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from telematics.settings import Settings
from warehouse.archive.storage import ArchiveStorage
from warehouse.backfill.telemetry.errors import SourceError
from warehouse.backfill.telemetry.rejects import readable

PARQUET: Final = frozenset({".parquet", ".pq"})
CSV: Final = frozenset({".csv", ".tsv", ".txt"})
NDJSON: Final = frozenset({".ndjson", ".jsonl", ".json"})
COMPRESSED: Final = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Suffix after the format's own, and Arrow's name of the codec; Parquet compresses inside."""
_MANIFESTS: Final = (".manifest.json",)
_COPY_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a history."""

    number: int
    name: str
    """Relative to the path that was given, or the file's own name."""
    identity: str
    byte_count: int

    @property
    def suffixes(self) -> tuple[str, str | None]:
        """The format's suffix and, if any, the codec's name; both from the name alone."""
        return split_name(self.name)


def split_name(name: str) -> tuple[str, str | None]:
    """Suffix of the format, in small letters, and Arrow's name of the codec around it."""
    path = Path(name.lower())
    codec = COMPRESSED.get(path.suffix)
    return (Path(path.stem).suffix, codec) if codec else (path.suffix, None)


def is_readable(name: str) -> bool:
    """Whether the name is that of a Parquet, CSV or NDJSON file, compressed or not."""
    suffix, codec = split_name(name)
    if name.lower().endswith(_MANIFESTS):
        return False  # the archive's manifests lie beside its files
    return suffix in CSV | NDJSON or (suffix in PARQUET and codec is None)


class Source(ABC):
    """A history's files, and how to come by one of them on the local disk."""

    def __init__(self, files: Sequence[SourceFile], skipped: Sequence[str]) -> None:
        self.files = tuple(files)
        self.skipped = tuple(skipped)
        """Names that are of no format that is read here, or no UTF-8."""

    @abstractmethod
    def local(self, file: SourceFile) -> AbstractContextManager[Path]:
        """The file on the local disk."""

    def digest(self, *others: bytes) -> str:
        """32 hex characters that stand for the files and for whatever else decides about their rows."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.name}\0{file.identity}\n".encode())
        for other in others:
            digest.update(hashlib.sha256(other).digest())
        return digest.hexdigest()[:32]


class LocalSource(Source):
    """A file, or the files below a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        names = _names(path)
        found = sorted(name for name in names if is_readable(name) and readable(name) == name)
        super().__init__(
            [self._file(number, name) for number, name in enumerate(found)],
            sorted(readable(name) for name in set(names) - set(found)),
        )

    def _place(self, name: str) -> Path:
        return self.path / name if self.path.is_dir() else self.path

    def _file(self, number: int, name: str) -> SourceFile:
        place = self._place(name)
        try:
            with place.open("rb") as file:
                identity = hashlib.file_digest(file, "sha256").hexdigest()
            return SourceFile(number, name, identity, place.stat().st_size)
        except OSError as error:
            message = f"{place} cannot be read ({error.strerror or type(error).__name__}); nothing was loaded"
            raise SourceError(message) from error

    @contextmanager
    def local(self, file: SourceFile) -> Iterator[Path]:
        """It lies there already.

        Raises:
            SourceError: it is not the file any more that the load is known by.
        """
        place = self._place(file.name)
        if not place.is_file() or place.stat().st_size != file.byte_count:
            message = f"{place} was changed while it was loaded; when it is at rest, run the backfill again"
            raise SourceError(message)
        yield place


def _names(path: Path) -> list[str]:
    if path.is_file():
        return [path.name]
    if not path.is_dir():
        message = f"{path} is neither a file nor a folder"
        raise SourceError(message)
    return [
        place.relative_to(path).as_posix()
        for place in path.rglob("*")
        if place.is_file() and not any(part.startswith(".") for part in place.relative_to(path).parts)
    ]


class BucketSource(Source):
    """Objects below a prefix; each is fetched when its turn comes and removed afterwards."""

    def __init__(self, settings: Settings, url: str) -> None:
        from warehouse.archive.s3 import BucketStorage

        prefix, _, last = url.rpartition("/")
        is_one = is_readable(last) and prefix.count("/") > 1
        place = settings.model_copy(
            update={"archive_url": prefix if is_one else url, "archive_storage_class": "STANDARD"}
        )
        self._storage: ArchiveStorage = BucketStorage.connect(place)
        heads = [self._storage.head(key) for key in ([last] if is_one else self._storage.keys(""))]
        heads.sort(key=lambda head: head.key)
        found = [head for head in heads if is_readable(head.key)]
        super().__init__(
            [
                SourceFile(number, head.key, f"{head.etag or head.sha256}:{head.byte_count}", head.byte_count)
                for number, head in enumerate(found)
            ],
            [head.key for head in heads if not is_readable(head.key)],
        )

    @contextmanager
    def local(self, file: SourceFile) -> Iterator[Path]:
        """A copy on the local disk.

        Raises:
            StorageError: the server does not answer.
        """
        with tempfile.TemporaryDirectory(prefix="piston-backfill-") as folder:
            copy = Path(folder) / Path(file.name).name
            with self._storage.open(file.name) as stored, copy.open("wb") as target:
                shutil.copyfileobj(stored, target, _COPY_BYTES)
            yield copy


def open_source(settings: Settings, path: str) -> Source:
    """The files at a path.

    Raises:
        SourceError: there are none that can be read.
        StorageError: the S3 server does not answer.
        ConfigurationError: it does not let us in.
    """
    source = BucketSource(settings, path) if path.startswith("s3://") else LocalSource(Path(path))
    if not source.files:
        kinds = ", ".join(sorted(PARQUET | CSV | NDJSON))
        message = f"{path} holds no file that can be read: {kinds}; text also as {', '.join(COMPRESSED)}"
        raise SourceError(message)
    return source
