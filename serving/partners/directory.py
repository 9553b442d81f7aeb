"""Partners as the API looks them up."""

from typing import Protocol

from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool

from serving.partners.models import Partner
from serving.partners.repository import Connection, PartnerRepository
from serving.stores import answering

Pool = AsyncConnectionPool[Connection]
"""The pool of the API's own connections (rows as dictionaries, autocommit)."""


class PartnerDirectory(Protocol):
    """Finds partners."""

    async def find(self, client_id: str) -> Partner | None:
        """The partner, None where there is none.

        Raises:
            StoreUnavailableError: the directory does not answer.
        """

    async def find_with_secret_hash(self, client_id: str) -> tuple[Partner, str] | None:
        """The partner and its secret's hash.

        Raises:
            StoreUnavailableError: the directory does not answer.
        """


class StoredPartners:
    """The directory in TimescaleDB."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, client_id: str) -> Partner | None:
        """See `PartnerDirectory`."""
        found = await self.find_with_secret_hash(client_id)
        return None if found is None else found[0]

    async def find_with_secret_hash(self, client_id: str) -> tuple[Partner, str] | None:
        """See `PartnerDirectory`."""
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            return await PartnerRepository(connection).find_with_secret_hash(client_id)
