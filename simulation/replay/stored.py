"""Identities of a device's records as the stores hold them, in bulk: binary from both, no Python per row."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, Self

import clickhouse_connect
import numpy as np
import psycopg
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from simulation.device.records import IDENTITY, Identities
from telematics.errors import UnavailableError
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings

_POSTGRES_EPOCH_MS: Final = 946_684_800_000
"""2000-01-01T00:00Z: PostgreSQL's binary timestamps count microseconds from there."""
_COPY_HEAD_BYTES: Final = 19
_COPY_TAIL_BYTES: Final = 2
_COPY_ROW: Final = np.dtype(
    [
        ("fields", ">i2"),
        ("time_length", ">i4"), ("time_us", ">i8"),
        ("event_length", ">i4"), ("event_id", ">i4"),
        ("hash_length", ">i4"), ("content_hash", ">i8"),
    ]
)  # fmt: skip
"""One row of `copy … (format binary)`: number of fields, then length and value of each. None can be null."""


class IdentityStore(Protocol):
    """A tier that can tell which records of a device it holds."""

    def identities(self, imei: str) -> Identities:
        """One entry per row, in no order, doubled where a row is doubled."""


class HotStore:
    """TimescaleDB."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def identities(self, imei: str) -> Identities:
        """Of the hypertable's rows."""
        query = (
            "copy (select time, event_id, content_hash from telemetry where device_id = %s)"
            " to stdout (format binary)"
        )
        with self._connection.cursor() as cursor, cursor.copy(query, [imei]) as copy:
            content = b"".join(copy)
        rows = np.frombuffer(content[_COPY_HEAD_BYTES : len(content) - _COPY_TAIL_BYTES], _COPY_ROW)
        found = np.empty(len(rows), IDENTITY)
        found["time_ms"] = rows["time_us"] // 1000 + _POSTGRES_EPOCH_MS
        found["event_id"] = rows["event_id"]
        found["content_hash"] = rows["content_hash"]
        return found


class WarmStore:
    """ClickHouse."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def identities(self, imei: str) -> Identities:
        """Of the table's rows; RowBinary has the very layout of `IDENTITY`."""
        content = self._client.raw_query(
            f"select toUnixTimestamp64Milli(time), event_id, content_hash from {ANALYTICS_DATABASE}.telemetry"
            " where device_id = {imei:String}",
            parameters={"imei": imei},
            fmt="RowBinary",
        )
        return np.frombuffer(content, IDENTITY)


class NoStore:
    """A tier that holds nothing."""

    def identities(self, _: str) -> Identities:
        """None."""
        return np.empty(0, IDENTITY)


class Stores:
    """The tiers, open."""

    def __init__(self, hot: IdentityStore, warm: IdentityStore, archive: IdentityStore | None = None) -> None:
        self.hot = hot
        self.warm = warm
        self.archive = archive or NoStore()

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, archive: IdentityStore | None = None) -> Iterator[Self]:
        """Connect to both servers.

        Args:
            settings: where they are.
            archive: what tells of days that left ClickHouse.

        Raises:
            UnavailableError: one does not answer.
        """
        try:
            connection = psycopg.connect(settings.timescale_dsn(), autocommit=True)
        except psycopg.OperationalError as error:
            message = (
                f"TimescaleDB at {settings.host}:{settings.timescale_port} does not answer; "
                "see `piston status`"
            )
            raise UnavailableError(message) from error
        with connection:
            try:
                client = clickhouse_connect.get_client(
                    host=settings.host,
                    port=settings.clickhouse_http_port,
                    username=settings.clickhouse_reader_user,
                    password=settings.clickhouse_reader_password.get_secret_value(),
                    autogenerate_session_id=False,
                )
            except ClickHouseError as error:
                message = (
                    f"ClickHouse at {settings.host}:{settings.clickhouse_http_port} does not answer; "
                    "see `piston status`"
                )
                raise UnavailableError(message) from error
            try:
                yield cls(HotStore(connection), WarmStore(client), archive)
            finally:
                client.close()
