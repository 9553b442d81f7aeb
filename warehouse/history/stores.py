"""What a history reader reads: TimescaleDB by a pool, ClickHouse as the reading user, the archive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.query import QueryResult
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from telematics.errors import ConfigurationError, UnavailableError
from telematics.settings import Settings
from warehouse import clients
from warehouse.archive.reading import ArchiveReader
from warehouse.archive.storage import open_storage

T = TypeVar("T")

_WAIT_S = 5.0
"""Longest wait for a free connection."""


class HistoryStores:
    """One per process. Each store is reached at its first use, so one of them may be down."""

    def __init__(self, settings: Settings, pool: AsyncConnectionPool, threads: ThreadPoolExecutor) -> None:
        self._settings = settings
        self._pool = pool
        self._threads = threads
        self._opening = asyncio.Lock()
        self._client: Client | None = None
        self._archive: ArchiveReader | None = None

    @classmethod
    async def open(cls, settings: Settings, *, pool_size: int = 4) -> Self:
        """Prepare up to `pool_size` connections to each store; no error if one does not answer yet."""
        pool = AsyncConnectionPool(
            settings.timescale_dsn(),
            min_size=0,
            max_size=pool_size,
            timeout=_WAIT_S,
            kwargs={"autocommit": True, "connect_timeout": clients.CONNECT_TIMEOUT_S},
            open=False,
        )
        await pool.open()
        return cls(settings, pool, ThreadPoolExecutor(pool_size, thread_name_prefix="history"))

    async def close(self) -> None:
        """Let the connections go; queries under way end first."""
        await self._pool.close()
        await asyncio.to_thread(self._threads.shutdown)
        if self._client is not None:
            self._client.close()
            self._client = None

    @asynccontextmanager
    async def timescale(self) -> AsyncIterator[AsyncConnection]:
        """A PostgreSQL connection in autocommit.

        Raises:
            UnavailableError: TimescaleDB does not answer, or all connections stay busy.
        """
        with clients.timescale_errors(self._settings):
            async with self._pool.connection() as connection:
                yield connection

    async def clickhouse(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        """The rows of a query, run in a thread of our own as the user who may only read.

        Raises:
            UnavailableError: ClickHouse does not answer, or refuses.
        """
        rows: Sequence[Sequence[Any]] = (await self._query(query, parameters)).result_rows
        return rows

    async def clickhouse_columns(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        """The same, column by column as it comes; no columns where there are no rows.

        Raises:
            UnavailableError: ClickHouse does not answer, or refuses.
        """
        columns: Sequence[Sequence[Any]] = (await self._query(query, parameters)).result_columns
        return columns

    async def _query(self, query: str, parameters: dict[str, Any]) -> QueryResult:
        async with self._opening:
            if self._client is None:
                self._client = await self._in_thread(
                    lambda: clients.open_clickhouse(self._settings, as_reader=True)
                )
        client = self._client
        with clients.clickhouse_errors(self._settings):
            return await self._in_thread(lambda: client.query(query, parameters=parameters))

    async def archive(self, work: Callable[[ArchiveReader], T]) -> T:
        """What some work on the archive returns, run in a thread of our own.

        Raises:
            UnavailableError: the object storage does not answer, or PISTON_ARCHIVE_… names no usable place.
        """
        try:
            if self._archive is None:
                self._archive = ArchiveReader(open_storage(self._settings))
            archive = self._archive
            return await self._in_thread(lambda: work(archive))
        except ConfigurationError as error:
            # whoever reads can do nothing about it, and other days can be read
            raise UnavailableError(str(error)) from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
