"""Where archived objects lie: a folder, or a bucket of an S3 server, by `PISTON_ARCHIVE_URL`.

An object is written once under its key and never again. Whoever writes a key that exists is told so; keys
hold a part of the content's SHA-256, so that what is there is either the same or damaged.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from telematics.errors import ConfigurationError
from telematics.settings import Settings

OFFLINE_CLASSES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes of S3 whose objects must be restored before they can be read."""
CHUNK_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the storage says of an object, without its content."""

    key: str
    byte_count: int
    storage_class: str
    sha256: str | None
    """Hex, as the storage itself computed it; None where it keeps none."""
    is_readable: bool
    is_restoring: bool = False
    restored_until: datetime | None = None
    etag: str | None = None
    """What the server knows this content by."""


class ArchiveStorage(ABC):
    """Immutable objects by key. Every method raises `StorageError` when the storage does not do its part."""

    url: str
    storage_class: str
    """Of data written here."""

    @property
    def is_offline(self) -> bool:
        """Whether data written here must be restored before it can be read."""
        return self.storage_class in OFFLINE_CLASSES

    @abstractmethod
    def put(self, key: str, source: Path, *, storage_class: str) -> bool:
        """Write a file's content whole, once; returns False, and changes nothing, if the key exists."""

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """A seekable file of the object.

        Raises:
            MissingObjectError: there is none.
            OfflineError: it must be restored first.
        """

    @abstractmethod
    def head(self, key: str) -> StoredObject:
        """What is known of the object.

        Raises:
            MissingObjectError: there is none.
        """

    @abstractmethod
    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin so, in order."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object that no ledger and no manifest names; no error if it is gone."""

    @abstractmethod
    def request_restore(self, key: str, days: int, tier: str) -> None:
        """Ask for an offline object to be readable for so many days; asking again is no error."""

    def read(self, key: str) -> bytes:
        """A small object whole."""
        with self.open(key) as file:
            return file.read()

    def sha256(self, key: str) -> str:
        """Hex of the content, read from the storage."""
        digest = hashlib.sha256()
        with self.open(key) as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()


def open_storage(settings: Settings) -> ArchiveStorage:
    """The archive that the settings name. Connects to nothing yet.

    Raises:
        ConfigurationError: the URL is neither a folder nor s3://bucket/prefix, or the class does not fit it.
    """
    url = settings.archive
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "file":
        if settings.archive_storage_class != "STANDARD":
            message = (
                f"PISTON_ARCHIVE_STORAGE_CLASS={settings.archive_storage_class}: a folder has no storage "
                "classes; set PISTON_ARCHIVE_URL to s3://bucket/prefix, or the class to STANDARD"
            )
            raise ConfigurationError(message)
        from warehouse.archive.folder import FolderStorage

        return FolderStorage(Path(rest if separator else url))
    if scheme == "s3" and rest.partition("/")[0]:
        from warehouse.archive.s3 import BucketStorage

        return BucketStorage.connect(settings)
    message = f"PISTON_ARCHIVE_URL={url}: name a folder, or s3://bucket/prefix"
    raise ConfigurationError(message)
