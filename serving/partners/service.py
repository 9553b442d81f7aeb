"""What an operator does with partners. Each call is one step of the caller's transaction."""

from collections.abc import Collection
from dataclasses import dataclass

from serving.partners import secrets
from serving.partners.models import Partner, Tier
from serving.partners.repository import Connection, PartnerRepository, write_audit
from serving.scopes import DEFAULT_SCOPES, PartnerKind, Scope
from telematics.clock import Clock, utc_now
from telematics.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Credentials:
    """A partner with its secret, which is shown this once."""

    partner: Partner
    client_secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Credentials(client_id={self.partner.client_id!r})"


class PartnerService:
    """Registers, lists and shuts out partners; every change leaves an audit row."""

    def __init__(self, connection: Connection, *, actor: str, clock: Clock = utc_now) -> None:
        self._connection = connection
        self._partners = PartnerRepository(connection)
        self._actor = actor
        self._clock = clock

    async def create(
        self,
        name: str,
        kind: PartnerKind,
        *,
        tier: Tier = Tier.STANDARD,
        scopes: Collection[Scope] = (),
    ) -> Credentials:
        """Register a partner; without `scopes` it gets its kind's defaults.

        Raises:
            ConfigurationError: the name is blank or longer than 100 characters.
            PartnerExistsError: the name is taken.
        """
        name = name.strip()
        if not name or len(name) > 100 or not name.isprintable():
            message = "a partner's name has 1 to 100 printable characters"
            raise ConfigurationError(message)
        secret = secrets.new_secret()
        partner = Partner(
            client_id=secrets.new_client_id(),
            name=name,
            kind=kind,
            tier=tier,
            scopes=frozenset(scopes) or DEFAULT_SCOPES[kind],
            created_at=self._clock(),
        )
        await self._partners.insert(partner, secrets.hash_secret(secret))
        await self._audit(
            "partner.created",
            partner,
            {"name": name, "kind": kind, "tier": tier, "scopes": sorted(partner.scopes)},
        )
        return Credentials(partner, secret)

    async def rotate_secret(self, client_id: str) -> Credentials:
        """Replace the secret; the old one ends at once, tokens taken with it end by themselves.

        Raises:
            UnknownPartnerError: there is no such partner.
        """
        partner = await self._partners.lock(client_id)
        secret = secrets.new_secret()
        await self._partners.set_secret_hash(client_id, secrets.hash_secret(secret))
        await self._audit("partner.secret_rotated", partner, {})
        return Credentials(partner, secret)

    async def add_scopes(self, client_id: str, scopes: Collection[Scope]) -> Partner:
        """Let a partner hold further scopes. Idempotent.

        Tokens that it holds keep theirs, and so does every owner's consent: a new scope opens a vehicle only
        once its owner has consented to it.

        Raises:
            UnknownPartnerError: there is no such partner.
        """
        partner = await self._partners.lock(client_id)
        if added := frozenset(scopes) - partner.scopes:
            await self._partners.add_scopes(client_id, added)
            await self._audit("partner.scopes_added", partner, {"scopes": sorted(added)})
            partner = await self._partners.lock(client_id)
        return partner

    async def disable(self, client_id: str) -> Partner:
        """Shut a partner out: no new tokens, and those it holds are refused within 30 s. Idempotent.

        Raises:
            UnknownPartnerError: there is no such partner.
        """
        partner = await self._partners.lock(client_id)
        if not partner.is_disabled:
            await self._partners.set_disabled(client_id, self._clock())
            await self._audit("partner.disabled", partner, {})
            partner = await self._partners.lock(client_id)
        return partner

    async def list_all(self) -> list[Partner]:
        """Every partner by name."""
        return await self._partners.all()

    async def _audit(self, action: str, partner: Partner, detail: dict[str, object]) -> None:
        await write_audit(
            self._connection, self._actor, action, f"partner:{partner.client_id}", detail, self._clock()
        )
