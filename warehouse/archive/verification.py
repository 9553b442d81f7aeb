"""A stored file read back from the storage and compared with what its manifest and the ledger say."""

import hashlib
import tempfile
from typing import IO

import pyarrow as pa

from warehouse.archive import layout, parquet, sums
from warehouse.archive.errors import DamagedError, MissingObjectError
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.manifest import Manifest
from warehouse.archive.storage import CHUNK_BYTES, ArchiveStorage


def fetch(storage: ArchiveStorage, key: str, target: IO[bytes]) -> str:
    """Copy a stored object into a local file; returns the SHA-256 of what came."""
    digest = hashlib.sha256()
    with storage.open(key) as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    target.flush()
    return digest.hexdigest()


def fetch_whole(storage: ArchiveStorage, key: str, sha256: str, target: IO[bytes]) -> None:
    """Copy a stored object whose content is known.

    Raises:
        DamagedError: something else came.
        MissingObjectError: it is gone.
        OfflineError: it must be restored first.
    """
    found = fetch(storage, key, target)
    if found != sha256:
        message = f"{key}: its SHA-256 is {found[:16]}…, archived was {sha256[:16]}…"
        raise DamagedError(message)


def read_back(storage: ArchiveStorage, manifest: Manifest, *, key: str | None = None) -> None:
    """Every byte and every row of the stored file, against its manifest.

    Args:
        storage: the archive.
        manifest: what the file has to be.
        key: where it lies, if not yet under its own key.

    Raises:
        DamagedError: it is something else; the message says what differs.
        OfflineError: it must be restored first.
    """
    where = key or manifest.key
    with tempfile.NamedTemporaryFile(prefix="piston-archive-") as local:
        fetch_whole(storage, where, manifest.facts.sha256, local)
        try:
            with parquet.open_file(local.name) as file:
                found = sums.of_batches(parquet.batches(file, where))
        except (pa.ArrowException, OSError) as error:
            message = f"{where}: it cannot be read ({type(error).__name__})"
            raise DamagedError(message) from error
    if differences := found.differences(manifest.facts.content):
        message = f"{where}: it differs from its manifest in {', '.join(differences[:5])}"
        raise DamagedError(message)


def check_head(storage: ArchiveStorage, manifest: Manifest) -> None:
    """Size, storage class and, where the storage keeps one, SHA-256 of the object.

    For an offline class that is all there is to see, so there the storage's own SHA-256 is required.

    Raises:
        DamagedError: one of them differs.
    """
    seen = storage.head(manifest.key)
    facts = manifest.facts
    if seen.byte_count != facts.byte_count:
        message = f"{manifest.key}: {seen.byte_count} bytes are stored, {facts.byte_count} were written"
        raise DamagedError(message)
    if seen.storage_class != manifest.storage_class:
        message = (
            f"{manifest.key}: stored as {seen.storage_class}, asked for was {manifest.storage_class}; "
            "does the server of PISTON_ARCHIVE_URL have this class?"
        )
        raise DamagedError(message)
    if seen.sha256 not in ((facts.sha256,) if storage.is_offline else (facts.sha256, None)):
        message = f"{manifest.key}: the storage's SHA-256 is {seen.sha256}, archived was {facts.sha256}"
        raise DamagedError(message)


def inspect(storage: ArchiveStorage, file: ArchivedFile) -> str | None:
    """Compare a file with its manifest and the ledger; returns what is wrong, or None.

    Raises:
        OfflineError: it must be restored first.
        StorageError: the storage does not answer.
    """
    key = layout.manifest_key(file.key)
    try:
        manifest = Manifest.from_json(storage.read(key), key)
        if manifest.facts.sha256 != file.sha256 or manifest.facts.content.row_count != file.row_count:
            return f"{key}: manifest and ledger name different files"
        read_back(storage, manifest)
    except (DamagedError, MissingObjectError) as error:
        return str(error)
    return None
