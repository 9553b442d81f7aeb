"""The archive in a bucket of an S3 server.

Data is written by a single PUT, because only that keeps the storage class on every server and carries
`If-None-Match` (an existing key is not replaced) and a SHA-256 that the server checks. A single PUT holds up
to 5 GB: a day of about 250 million rows.
"""

import io
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from telematics.errors import ConfigurationError
from telematics.settings import Settings
from warehouse.archive.errors import MissingObjectError, OfflineError, StorageError
from warehouse.archive.storage import OFFLINE_CLASSES, ArchiveStorage, StoredObject

_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_MISCONFIGURED: Final = frozenset(
    {
        "NoSuchBucket",
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "403",
        "InvalidBucketName",
    }
)
_READ_AHEAD: Final = 1 << 17
"""A Parquet footer, and the pages of a few columns of one vehicle, come in one request each."""


class BucketStorage(ArchiveStorage):
    """Each key an object below the URL's prefix."""

    def __init__(self, client: Any, bucket: str, prefix: str, storage_class: str, url: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.storage_class = storage_class
        self.url = url

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """A client of the server that the settings name; connects at the first request."""
        bucket, _, prefix = settings.archive.removeprefix("s3://").partition("/")
        secret = settings.archive_secret_key
        client = boto3.client(
            "s3",
            endpoint_url=settings.archive_endpoint,
            region_name=settings.archive_region,
            aws_access_key_id=settings.archive_access_key,
            aws_secret_access_key=None if secret is None else secret.get_secret_value(),
            config=Config(
                connect_timeout=min(10.0, settings.archive_timeout_s),
                read_timeout=settings.archive_timeout_s,
                # whoever archives tries again later; long waits here would only hold it up
                retries={"mode": "standard", "total_max_attempts": 2},
                # other servers than Amazon's seldom have a name for each bucket
                s3={"addressing_style": "path" if settings.archive_endpoint else "auto"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        return cls(client, bucket, prefix, settings.archive_storage_class, settings.archive)

    def put(self, key: str, source: Path, *, storage_class: str) -> bool:
        """See `ArchiveStorage`."""
        with self._telling("written", key):
            try:
                with source.open("rb") as body:
                    self._client.put_object(
                        **self._named(key),
                        Body=body,
                        StorageClass=storage_class,
                        ChecksumAlgorithm="SHA256",
                        IfNoneMatch="*",
                    )
            except ClientError as error:
                if _code(error) in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                    return False
                raise
        return True

    def open(self, key: str) -> BinaryIO:
        """See `ArchiveStorage`."""
        size = self.head(key).byte_count
        raw = _RangedObject(self, key, size)
        return cast("BinaryIO", io.BufferedReader(raw, _READ_AHEAD))

    def head(self, key: str) -> StoredObject:
        """See `ArchiveStorage`."""
        with self._telling("read", key):
            said = self._client.head_object(**self._named(key), ChecksumMode="ENABLED")
        storage_class = said.get("StorageClass", "STANDARD")
        restore = said.get("Restore", "")
        expiry = re.search(r'expiry-date="([^"]+)"', restore)
        is_restoring = 'ongoing-request="true"' in restore
        is_restored = 'ongoing-request="false"' in restore
        checksum = said.get("ChecksumSHA256")
        return StoredObject(
            key=key,
            byte_count=said["ContentLength"],
            storage_class=storage_class,
            sha256=None if checksum is None else b64decode(checksum).hex(),
            is_readable=storage_class not in OFFLINE_CLASSES or is_restored,
            is_restoring=is_restoring,
            restored_until=parsedate_to_datetime(expiry[1]) if expiry else None,
            etag=said.get("ETag"),
        )

    def keys(self, prefix: str) -> Iterator[str]:
        """See `ArchiveStorage`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with self._telling("listed", prefix):
            for page in pages:
                for item in page.get("Contents", ()):
                    yield item["Key"].removeprefix(self._prefix)

    def delete(self, key: str) -> None:
        """See `ArchiveStorage`."""
        with self._telling("removed", key):
            self._client.delete_object(**self._named(key))

    def request_restore(self, key: str, days: int, tier: str) -> None:
        """See `ArchiveStorage`."""
        with self._telling("restored", key):
            try:
                self._client.restore_object(
                    **self._named(key),
                    RestoreRequest={"Days": days, "GlacierJobParameters": {"Tier": tier}},
                )
            except ClientError as error:
                if _code(error) != "RestoreAlreadyInProgress":
                    raise

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object.

        Raises:
            OfflineError: it must be restored first.
        """
        with self._telling("read", key):
            answer = self._client.get_object(**self._named(key), Range=f"bytes={start}-{start + length - 1}")
            with answer["Body"] as body:
                return bytes(body.read())

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    @contextmanager
    def _telling(self, what: str, key: str) -> Iterator[None]:
        where = f"archive {self.url}: {key} could not be {what}"
        try:
            yield
        except NoCredentialsError as error:
            message = f"{where}: no credentials; set PISTON_ARCHIVE_ACCESS_KEY and PISTON_ARCHIVE_SECRET_KEY"
            raise ConfigurationError(message) from error
        except ClientError as error:
            code = _code(error)
            if code in _MISSING:
                message = f"the archive has no {key} ({self.url})"
                raise MissingObjectError(message) from error
            if code == "InvalidObjectState":
                message = f"{where}: it lies in an offline storage class and is not restored"
                raise OfflineError(message) from error
            if code in _MISCONFIGURED:
                message = f"{where} ({code}); see PISTON_ARCHIVE_URL, _ENDPOINT, _ACCESS_KEY and _SECRET_KEY"
                raise ConfigurationError(message) from error
            message = f"{where} ({code}); nothing was dropped, it is tried again"
            raise StorageError(message) from error
        # http.client and urllib3 errors of a body that breaks off are OSErrors or BotoCoreErrors by now
        except (BotoCoreError, OSError) as error:
            message = (
                f"{where} ({type(error).__name__}); is PISTON_ARCHIVE_ENDPOINT right, and does it answer?"
            )
            raise StorageError(message) from error


class _RangedObject(io.RawIOBase):
    """An object as a seekable file; each read is a request."""

    def __init__(self, storage: BucketStorage, key: str, size: int) -> None:
        self._storage = storage
        self._key = key
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        data = self._storage.read_range(self._key, self._at, length)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
