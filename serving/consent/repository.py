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

    async def open_fleet(self, client_id: str, at: datetime) -> list[tuple[frozenset[Scope], str]]:
        """Every vehicle with a grant that holds at a moment: the grant's scopes, and VINs between commas.

        One text for many VINs: a partner may have 100,000, and nothing here needs them one by one. A VIN
        with two grants stands in both texts.
        """
        cursor = await self._connection.execute(
            "select scopes, string_agg(vin, ',') as vins from grants where client_id = %s"
            " and revoked_at is null and granted_at <= %s and %s < expires_at group by scopes",
            [client_id, at, at],
        )
        return [(known_scopes(row["scopes"]), row["vins"]) for row in await cursor.fetchall()]

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
