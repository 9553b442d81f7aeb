"""Partners in TimescaleDB. A repository works on a connection; its owner commits."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from serving.partners.models import Partner, Tier
from serving.scopes import PartnerKind, Scope, known_scopes
from telematics.errors import ConflictError, NotFoundError

Connection = AsyncConnection[DictRow]

_COLUMNS = "client_id, name, kind, tier, scopes, created_at, disabled_at"


class PartnerExistsError(ConflictError):
    """A partner of that name is registered already."""


class UnknownPartnerError(NotFoundError):
    """No partner has that client id."""


async def write_audit(
    connection: Connection, actor: str, action: str, subject: str, detail: dict[str, Any], at: datetime
) -> None:
    """Append who did what to whom, in the transaction that does it."""
    await connection.execute(
        "insert into audit_events (happened_at, actor, action, subject, detail) values (%s, %s, %s, %s, %s)",
        [at, actor, action, subject, Jsonb(detail)],
    )


def _partner(row: DictRow) -> Partner:
    return Partner(
        client_id=row["client_id"],
        name=row["name"],
        kind=PartnerKind(row["kind"]),
        tier=Tier(row["tier"]),
        scopes=known_scopes(row["scopes"]),
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )


class PartnerRepository:
    """Reads and writes `partners`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, partner: Partner, secret_hash: str) -> None:
        """Add a partner.

        Raises:
            PartnerExistsError: its name is taken.
        """
        try:
            await self._connection.execute(
                "insert into partners (client_id, name, kind, tier, scopes, secret_hash, created_at)"
                " values (%s, %s, %s, %s, %s, %s, %s)",
                [
                    partner.client_id,
                    partner.name,
                    partner.kind,
                    partner.tier,
                    sorted(partner.scopes),
                    secret_hash,
                    partner.created_at,
                ],
            )
        except UniqueViolation as error:
            message = (
                f"there is a partner named {partner.name!r} already; its secret was shown when it was "
                "created (`piston partner rotate-secret CLIENT_ID` gives it a new one)"
            )
            raise PartnerExistsError(message) from error

    async def find(self, client_id: str) -> Partner | None:
        """The partner, None where there is none."""
        found = await self.find_with_secret_hash(client_id)
        return None if found is None else found[0]

    async def find_with_secret_hash(self, client_id: str) -> tuple[Partner, str] | None:
        """The partner and its secret's hash."""
        cursor = await self._connection.execute(
            f"select {_COLUMNS}, secret_hash from partners where client_id = %s", [client_id]
        )
        row = await cursor.fetchone()
        return None if row is None else (_partner(row), row["secret_hash"])

    async def lock(self, client_id: str) -> Partner:
        """The partner, locked to the transaction's end so that changes to it and its grants queue up.

        Raises:
            UnknownPartnerError: there is none.
        """
        cursor = await self._connection.execute(
            f"select {_COLUMNS} from partners where client_id = %s for update", [client_id]
        )
        row = await cursor.fetchone()
        if row is None:
            message = f"there is no partner with the client id {client_id}; `piston partner list` shows all"
            raise UnknownPartnerError(message)
        return _partner(row)

    async def all(self) -> list[Partner]:
        """Every partner by name."""
        cursor = await self._connection.execute(f"select {_COLUMNS} from partners order by name")
        return [_partner(row) for row in await cursor.fetchall()]

    async def set_secret_hash(self, client_id: str, secret_hash: str) -> None:
        """Replace the secret."""
        await self._connection.execute(
            "update partners set secret_hash = %s where client_id = %s", [secret_hash, client_id]
        )

    async def add_scopes(self, client_id: str, scopes: Collection[Scope]) -> None:
        """Add scopes; those of another release, which this one does not know, stay."""
        await self._connection.execute(
            "update partners set scopes = array(select distinct unnest(scopes || %s::text[]) order by 1)"
            " where client_id = %s",
            [sorted(scopes), client_id],
        )

    async def set_disabled(self, client_id: str, at: datetime) -> None:
        """Shut the partner out from a moment on."""
        await self._connection.execute(
            "update partners set disabled_at = %s where client_id = %s", [at, client_id]
        )
