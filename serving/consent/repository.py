"""Grants in TimescaleDB. A repository works on a connection; its owner commits."""

from collections.abc import Collection
from datetime import datetime

from psycopg.rows import DictRow

from serving.consent.models import Grant
from serving.partners.repository import Connection
from serving.scopes import Scope, known_scopes

# 'infinity' is no Python datetime: it travels as NULL
_COLUMNS = """grant_id, client_id, vin, scopes, purpose, granted_at,
    nullif(expires_at, 'infinity') as expires_at, revoked_at"""


def _grant(row: DictRow) -> Grant:
    return Grant(
        grant_id=row["grant_id"],
        client_id=row["client_id"],
        vin=row["vin"],
        scopes=known_scopes(row["scopes"]),
        purpose=row["purpose"],
        granted_at=row["granted_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


class GrantRepository:
    """Reads and writes `grants`. Rows are closed, never deleted: they are the record of consent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def open_scopes(self, client_id: str, vin: str, at: datetime) -> frozenset[Scope]:
        """The scopes of all grants that hold at a moment; empty where there is none."""
        cursor = await self._connection.execute(
            "select scopes from grants where client_id = %s and vin = %s and revoked_at is null"
            " and granted_at <= %s and %s < expires_at",
            [client_id, vin, at, at],
        )
        return known_scopes(scope for row in await cursor.fetchall() for scope in row["scopes"])

    async def open_scopes_of(
        self, client_id: str, vins: Collection[str], at: datetime
    ) -> dict[str, frozenset[Scope]]:
        """For those of the VINs that have grants which hold at a moment: the scopes of all of them."""
        cursor = await self._connection.execute(
            "select vin, scopes from grants where client_id = %s and vin = any(%s) and revoked_at is null"
            " and granted_at <= %s and %s < expires_at",
            [client_id, list(vins), at, at],
        )
        found: dict[str, frozenset[Scope]] = {}
        for row in await cursor.fetchall():
            found[row["vin"]] = found.get(row["vin"], frozenset()) | known_scopes(row["scopes"])
        return found

    async def changed_since(
        self, client_id: str, since: datetime, grant_id: int, at: datetime
    ) -> dict[str, frozenset[Scope]]:
        """A partner's vehicles with a grant that began or ended since a moment, or is newer than another.

        Each with the scopes of its grants that hold at `at`; none where no grant does. Begun and ended by
        the clock counts as well: a grant may begin later than it was recorded, and expires by itself.
        """
        cursor = await self._connection.execute(
            """
            with changed as (
                select vin from grants where client_id = %(client_id)s and grant_id > %(grant_id)s
                union
                select vin from grants where client_id = %(client_id)s and granted_at >= %(since)s
                union
                select vin from grants where client_id = %(client_id)s and revoked_at >= %(since)s
                union
                select vin from grants where client_id = %(client_id)s and expires_at < 'infinity'
                    and expires_at >= %(since)s and expires_at <= %(at)s
            )
            select changed.vin, g.scopes
            from changed left join grants as g
                on g.client_id = %(client_id)s and g.vin = changed.vin and g.revoked_at is null
                and g.granted_at <= %(at)s and %(at)s < g.expires_at
            """,
            {"client_id": client_id, "since": since, "grant_id": grant_id, "at": at},
        )
        found: dict[str, frozenset[Scope]] = {}
        for row in await cursor.fetchall():
            found[row["vin"]] = found.get(row["vin"], frozenset()) | known_scopes(row["scopes"] or ())
        return found

    async def unrevoked(self, client_id: str, vin: str, purpose: str | None = None) -> list[Grant]:
        """Grants not revoked, expired ones among them; of one purpose or of all."""
        cursor = await self._connection.execute(
            f"select {_COLUMNS} from grants where client_id = %(client_id)s and vin = %(vin)s"
            " and revoked_at is null and (%(purpose)s::text is null or purpose = %(purpose)s)"
            " order by grant_id",
            {"client_id": client_id, "vin": vin, "purpose": purpose},
        )
        return [_grant(row) for row in await cursor.fetchall()]

    async def insert(
        self,
        client_id: str,
        vin: str,
        scopes: Collection[Scope],
        purpose: str,
        granted_at: datetime,
        expires_at: datetime | None,
    ) -> Grant:
        """Add a grant."""
        cursor = await self._connection.execute(
            "insert into grants (client_id, vin, scopes, purpose, granted_at, expires_at)"
            f" values (%s, %s, %s, %s, %s, coalesce(%s, 'infinity'::timestamptz)) returning {_COLUMNS}",
            [client_id, vin, sorted(scopes), purpose, granted_at, expires_at],
        )
        row = await cursor.fetchone()
        assert row is not None  # noqa: S101 - INSERT … RETURNING gives the row it wrote
        return _grant(row)

    async def close(self, grant_id: int, at: datetime) -> None:
        """Mark a grant as revoked."""
        await self._connection.execute(
            "update grants set revoked_at = %s where grant_id = %s", [at, grant_id]
        )

    async def history(self, client_id: str | None, vin: str | None) -> list[Grant]:
        """All grants, closed ones too, by partner, vehicle and time; None stands for all."""
        cursor = await self._connection.execute(
            f"select {_COLUMNS} from grants"
            " where (%(client_id)s::text is null or client_id = %(client_id)s)"
            " and (%(vin)s::text is null or vin = %(vin)s)"
            " order by client_id, vin, grant_id",
            {"client_id": client_id, "vin": vin},
        )
        return [_grant(row) for row in await cursor.fetchall()]

    async def missing_vehicles(self, vins: Collection[str]) -> list[str]:
        """Those of the VINs that no vehicle has."""
        cursor = await self._connection.execute(
            "select wanted.vin from unnest(%s::text[]) as wanted (vin)"
            " where not exists (select from vehicles where vehicles.vin = wanted.vin) order by 1",
            [sorted(set(vins))],
        )
        return [row["vin"] for row in await cursor.fetchall()]
