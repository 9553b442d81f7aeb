"""Partners as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serving.scopes import PartnerKind, Scope


class Tier(StrEnum):
    """The service level a partner pays for."""

    STANDARD = "standard"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Partner:
    """A registered partner."""

    client_id: str
    name: str
    kind: PartnerKind
    tier: Tier
    scopes: frozenset[Scope]
    created_at: datetime
    disabled_at: datetime | None = None

    @property
    def is_disabled(self) -> bool:
        """Whether the partner is shut out."""
        return self.disabled_at is not None


@dataclass(frozen=True, slots=True)
class PartnerScope:
    """An authenticated partner: who asks, and what its token allows.

    Made by `serving.oauth.bearer` alone, from a verified access token.
    """

    client_id: str
    kind: PartnerKind
    tier: Tier
    scopes: frozenset[Scope]
    """What both the token and the partner hold."""
