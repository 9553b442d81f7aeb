"""What an operator does with consent. Each call is one step of the caller's transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from serving.consent.models import Grant
from serving.consent.repository import GrantRepository
from serving.partners.repository import Connection, PartnerRepository, write_audit
from serving.scopes import Scope, format_scopes
from telematics.clock import Clock, utc_now
from telematics.errors import ConfigurationError, ConflictError, NotFoundError


class UnknownVehicleError(NotFoundError):
    """Consent was to be recorded for a vehicle that is not registered."""


class ScopeNotHeldError(ConflictError):
    """Consent was to be recorded for a scope that the partner does not hold."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A grant, and whether it was written now or stood already."""

    grant: Grant
    is_new: bool


class ConsentService:
    """Records and ends consent; every change leaves an audit row."""

    def __init__(self, connection: Connection, *, actor: str, clock: Clock = utc_now) -> None:
        self._connection = connection
        self._grants = GrantRepository(connection)
        self._partners = PartnerRepository(connection)
        self._actor = actor
        self._clock = clock

    async def grant(
        self,
        client_id: str,
        vins: Collection[str],
        *,
        purpose: str,
        scopes: Collection[Scope] = (),
        expires_at: datetime | None = None,
    ) -> list[Recorded]:
        """Record consent for each VIN, all or none.

        The same consent again changes nothing. Another period or other scopes for the same purpose close the
        old grant and open a new one, so that what held when stays on record.

        Args:
            client_id: the partner.
            vins: the vehicles.
            purpose: what the data is for.
            scopes: what may be read; empty means all that the partner holds.
            expires_at: end of the consent, None for until revoked.

        Raises:
            UnknownPartnerError: there is no such partner.
            UnknownVehicleError: a VIN is not registered.
            ScopeNotHeldError: the partner does not hold one of the scopes.
            ConfigurationError: the purpose is blank, or the end lies not in the future.
        """
        purpose = purpose.strip()
        if not purpose or not purpose.isprintable():
            message = "consent needs a purpose in words: --purpose TEXT"
            raise ConfigurationError(message)
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            message = "consent must end in the future: move --until"
            raise ConfigurationError(message)
        partner = await self._partners.lock(client_id)
        if not_held := frozenset(scopes) - partner.scopes:
            message = (
                f"partner {client_id} does not hold {format_scopes(not_held)}, so consent to it would be "
                "void; it holds " + format_scopes(partner.scopes)
            )
            raise ScopeNotHeldError(message)
        if missing := await self._grants.missing_vehicles(vins):
            message = (
                f"no vehicle is registered with the VIN {', '.join(missing)}; "
                "`piston device add IMEI --vin VIN` registers one"
            )
            raise UnknownVehicleError(message)
        wanted = frozenset(scopes) or partner.scopes
        return [
            await self._grant_one(client_id, vin, wanted, purpose, now, expires_at)
            for vin in dict.fromkeys(vins)
        ]

    async def _grant_one(
        self,
        client_id: str,
        vin: str,
        scopes: frozenset[Scope],
        purpose: str,
        now: datetime,
        expires_at: datetime | None,
    ) -> Recorded:
        for old in await self._grants.unrevoked(client_id, vin, purpose):
            if old.is_open(now) and old.scopes == scopes and old.expires_at == expires_at:
                return Recorded(old, is_new=False)
            await self._grants.close(old.grant_id, now)
        grant = await self._grants.insert(client_id, vin, scopes, purpose, now, expires_at)
        await self._audit("consent.granted", grant, now)
        return Recorded(grant, is_new=True)

    async def revoke(
        self, client_id: str, vins: Collection[str], *, purpose: str | None = None
    ) -> list[Grant]:
        """End consent for each VIN, for one purpose or for all; returns what was ended now. Idempotent.

        Raises:
            UnknownPartnerError: there is no such partner.
            UnknownVehicleError: a VIN is not registered.
        """
        await self._partners.lock(client_id)
        if missing := await self._grants.missing_vehicles(vins):
            message = f"no vehicle is registered with the VIN {', '.join(missing)}; nothing was revoked"
            raise UnknownVehicleError(message)
        now = self._clock()
        ended = []
        for vin in dict.fromkeys(vins):
            for grant in await self._grants.unrevoked(client_id, vin, purpose):
                await self._grants.close(grant.grant_id, now)
                await self._audit("consent.revoked", grant, now)
                ended.append(grant)
        return ended

    async def history(self, client_id: str | None = None, vin: str | None = None) -> list[Grant]:
        """All grants on record, closed ones too."""
        return await self._grants.history(client_id, vin)

    async def _audit(self, action: str, grant: Grant, at: datetime) -> None:
        await write_audit(
            self._connection,
            self._actor,
            action,
            f"grant:{grant.grant_id}",
            {
                "client_id": grant.client_id,
                "vin": grant.vin,
                "purpose": grant.purpose,
                "scopes": sorted(grant.scopes),
                "expires_at": grant.expires_at.isoformat() if grant.expires_at else None,
            },
            at,
        )
