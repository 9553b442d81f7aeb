"""Runs a request once for each key: claims it, remembers what succeeded, gives back what failed."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from psycopg import OperationalError

from serving.idempotency.models import Claim, Remembered
from serving.idempotency.repository import IdempotencyRepository
from serving.partners.directory import Pool
from serving.problems.errors import IdempotencyKeyInUseError
from serving.stores import StoreUnavailableError, answering

_FORGET_EVERY_S: Final = 600.0


class IdempotencyStore(Protocol):
    """Remembers requests; each method is a transaction of its own."""

    async def claim(self, client: str, key: str) -> Claim | Remembered | None:
        """Take a key; or what it came to before, or None while another request with it runs.

        Raises:
            StoreUnavailableError: the store does not answer.
        """

    async def settle(self, claim: Claim, fingerprint: str, status: int, body: Any) -> None:
        """Remember the answer, if the key is still this claim's.

        Raises:
            StoreUnavailableError: the store does not answer.
        """

    async def release(self, claim: Claim) -> None:
        """Give the key back, if it is still this claim's.

        Raises:
            StoreUnavailableError: the store does not answer.
        """


class StoredIdempotency:
    """Remembered requests in TimescaleDB."""

    def __init__(self, pool: Pool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._monotonic = monotonic
        self._forgot_at = monotonic()

    @asynccontextmanager
    async def _repository(self) -> AsyncIterator[IdempotencyRepository]:
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            yield IdempotencyRepository(connection)

    async def claim(self, client: str, key: str) -> Claim | Remembered | None:
        """See `IdempotencyStore`."""
        async with self._repository() as repository:
            return await repository.claim(client, key)

    async def settle(self, claim: Claim, fingerprint: str, status: int, body: Any) -> None:
        """See `IdempotencyStore`."""
        async with self._repository() as repository:
            await repository.settle(claim, fingerprint, status, body)
        if self._monotonic() - self._forgot_at > _FORGET_EVERY_S:
            self._forgot_at = self._monotonic()
            with suppress(StoreUnavailableError):
                async with self._repository() as repository:
                    await repository.forget()

    async def release(self, claim: Claim) -> None:
        """See `IdempotencyStore`."""
        async with self._repository() as repository:
            await repository.release(claim)


@asynccontextmanager
async def claimed(store: IdempotencyStore, client: str, key: str) -> AsyncIterator[Claim | Remembered]:
    """The right to run a request, or what it came to before. What fails inside gives the key back.

    Where it cannot be given back, because the store is down or the process dies, its lease ends by itself.

    Raises:
        IdempotencyKeyInUseError: a request with the same key is running.
        StoreUnavailableError: the store does not answer.
    """
    found = await store.claim(client, key)
    if found is None:
        raise IdempotencyKeyInUseError
    try:
        yield found
    except BaseException:
        if isinstance(found, Claim):
            with suppress(StoreUnavailableError):
                await store.release(found)
        raise
