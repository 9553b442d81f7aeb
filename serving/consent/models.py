"""Grants as values."""

from dataclasses import dataclass
from datetime import datetime

from serving.scopes import Scope


@dataclass(frozen=True, slots=True)
class Grant:
    """An owner's consent: which partner may read what of which vehicle, why, and until when."""

    grant_id: int
    client_id: str
    vin: str
    scopes: frozenset[Scope]
    purpose: str
    granted_at: datetime
    expires_at: datetime | None
    """None: until it is revoked."""
    revoked_at: datetime | None

    def is_open(self, at: datetime) -> bool:
        """Whether the consent holds at a moment."""
        return (
            self.revoked_at is None
            and self.granted_at <= at
            and (self.expires_at is None or at < self.expires_at)
        )
