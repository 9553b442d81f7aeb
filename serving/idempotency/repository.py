"""Remembered requests in TimescaleDB. A repository works on a connection; its owner commits."""

from typing import Any, Final

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from serving.idempotency.models import KEPT_FOR, LEASE, Claim, Remembered
from serving.partners.repository import Connection

# One statement, so that of two requests at once one gets the row. The database's clock decides for all
# processes of the API.
_CLAIM: Final = """
    insert into idempotency_keys as k (client, key, fingerprint, created_at)
    values (%(client)s, %(key)s, '', clock_timestamp())
    on conflict (client, key) do update
        set fingerprint = '', status = null, body = null, created_at = excluded.created_at
        where k.created_at < clock_timestamp() - %(kept)s::interval
            or (k.status is null and k.created_at < clock_timestamp() - %(lease)s::interval)
    returning created_at
"""
_OURS: Final = "client = %(client)s and key = %(key)s and created_at = %(claimed_at)s and status is null"
_FORGET: Final = """
    delete from idempotency_keys where ctid = any(array(
        select ctid from idempotency_keys where created_at < now() - %s::interval limit 10000
    ))
"""


class IdempotencyRepository:
    """Reads and writes `idempotency_keys`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim(self, client: str, key: str) -> Claim | Remembered | None:
        """Take a key; or what it came to before, or None while another request with it runs."""
        names = {"client": client, "key": key}
        cursor = await self._connection.execute(_CLAIM, {**names, "kept": KEPT_FOR, "lease": LEASE})
        row: DictRow | None = await cursor.fetchone()
        if row is not None:
            return Claim(client, key, row["created_at"])
        cursor = await self._connection.execute(
            "select fingerprint, status, body from idempotency_keys where client = %(client)s"
            " and key = %(key)s",
            names,
        )
        row = await cursor.fetchone()
        if row is None or row["status"] is None:
            return None
        return Remembered(row["fingerprint"], row["status"], row["body"])

    async def settle(self, claim: Claim, fingerprint: str, status: int, body: Any) -> None:
        """Remember the answer, if the key is still this claim's."""
        await self._connection.execute(
            "update idempotency_keys set fingerprint = %(fingerprint)s, status = %(status)s, body = %(body)s"
            f" where {_OURS}",
            {**_names(claim), "fingerprint": fingerprint, "status": status, "body": Jsonb(body)},
        )

    async def release(self, claim: Claim) -> None:
        """Give the key back, if it is still this claim's."""
        await self._connection.execute(f"delete from idempotency_keys where {_OURS}", _names(claim))

    async def forget(self) -> int:
        """Delete some of what is older than it is kept; returns how many."""
        cursor = await self._connection.execute(_FORGET, [2 * KEPT_FOR])
        return cursor.rowcount


def _names(claim: Claim) -> dict[str, Any]:
    return {"client": claim.client, "key": claim.key, "claimed_at": claim.claimed_at}
