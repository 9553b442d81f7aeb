"""The archive in a folder of this machine or of a network file system."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from telematics.errors import ConfigurationError
from warehouse.archive.errors import MissingObjectError, StorageError
from warehouse.archive.storage import ArchiveStorage, StoredObject

_PART = ".part"


class FolderStorage(ArchiveStorage):
    """Each key a file; written aside, flushed to the disk and linked into place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.url = str(self.folder)
        self.storage_class = "STANDARD"

    def put(self, key: str, source: Path, *, storage_class: str) -> bool:
        """See `ArchiveStorage`; a folder has one storage class."""
        target = self.folder / key
        aside = target.with_name(f".{target.name}.{os.getpid()}{_PART}")
        with self._telling("written", key):
            if target.exists():
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with source.open("rb") as read, aside.open("wb") as write:
                    shutil.copyfileobj(read, write, 1 << 20)
                    write.flush()
                    os.fsync(write.fileno())
                # unlike a rename, a link never replaces what another process put there meanwhile
                target.hardlink_to(aside)
            except FileExistsError:
                return False
            finally:
                aside.unlink(missing_ok=True)
            directory = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        return True

    def open(self, key: str) -> BinaryIO:
        """See `ArchiveStorage`."""
        with self._telling("read", key):
            return (self.folder / key).open("rb")

    def head(self, key: str) -> StoredObject:
        """See `ArchiveStorage`."""
        with self._telling("read", key):
            size = (self.folder / key).stat().st_size
        return StoredObject(key, size, self.storage_class, None, is_readable=True)

    def keys(self, prefix: str) -> Iterator[str]:
        """See `ArchiveStorage`."""
        base = self.folder / prefix
        with self._telling("listed", prefix):
            found = sorted(path for path in base.parent.rglob("*") if path.is_file())
        for path in found:
            key = path.relative_to(self.folder).as_posix()
            if key.startswith(prefix) and not path.name.endswith(_PART):
                yield key

    def delete(self, key: str) -> None:
        """See `ArchiveStorage`."""
        with self._telling("removed", key):
            (self.folder / key).unlink(missing_ok=True)

    def request_restore(self, key: str, days: int, tier: str) -> None:
        """Nothing to restore: a folder is always readable.

        Raises:
            ConfigurationError: always.
        """
        message = f"{key}: the archive is the folder {self.folder}; its files can be read at once"
        raise ConfigurationError(message)

    @contextmanager
    def _telling(self, what: str, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            message = f"the archive has no {key} (folder {self.folder})"
            raise MissingObjectError(message) from error
        except OSError as error:
            message = (
                f"archive folder {self.folder}: {key} could not be {what} ({error.strerror or error}); "
                "see to its disk and rights (PISTON_ARCHIVE_URL)"
            )
            raise StorageError(message) from error
