"""From an Authorization header to the partner behind it (RFC 6750)."""

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta

from serving.oauth.tokens import TokenRefusedError, TokenVerifier
from serving.partners.directory import PartnerDirectory
from serving.partners.models import PartnerScope
from serving.problems.errors import UnauthenticatedError
from telematics.clock import Clock, utc_now

TRUSTED_FOR = timedelta(seconds=30)
"""A verified token is not verified again for so long; so long a disabled partner may still read."""
_CACHED_TOKENS = 10_000


class BearerAuthenticator:
    """Authenticates requests by access token.

    ES256 costs 66 µs a check and the partner's state a look-up, so what was verified is remembered under the
    token's SHA-256 (never the token itself) until 30 s have passed or it expires.
    """

    def __init__(self, verifier: TokenVerifier, partners: PartnerDirectory, clock: Clock = utc_now) -> None:
        self._verifier = verifier
        self._partners = partners
        self._clock = clock
        self._verified: OrderedDict[bytes, tuple[PartnerScope, datetime]] = OrderedDict()

    async def authenticate(self, authorization: str | None) -> PartnerScope:
        """The partner whose token the header carries.

        Raises:
            UnauthenticatedError: no token, one not ours or expired, or a disabled partner.
            StoreUnavailableError: the partner cannot be looked up.
        """
        if authorization is None:
            message = "Send an access token: Authorization: Bearer TOKEN; /oauth/token issues it."
            raise UnauthenticatedError(message)
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            message = "The Authorization header must read: Bearer TOKEN."
            raise UnauthenticatedError(message)
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        now = self._clock()
        known = self._verified.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        partner, until = await self._verify(token, now)
        self._verified[digest] = (partner, until)
        self._verified.move_to_end(digest)
        if len(self._verified) > _CACHED_TOKENS:
            self._verified.popitem(last=False)
        return partner

    async def _verify(self, token: str, now: datetime) -> tuple[PartnerScope, datetime]:
        try:
            access = self._verifier.verify(token)
        except TokenRefusedError as error:
            raise UnauthenticatedError(str(error), code="invalid_token") from error
        partner = await self._partners.find(access.client_id)
        if partner is None or partner.is_disabled:
            message = "The access token's client is not active."
            raise UnauthenticatedError(message, code="invalid_token")
        scope = PartnerScope(partner.client_id, partner.kind, partner.tier, access.scopes & partner.scopes)
        return scope, min(now + TRUSTED_FOR, access.expires_at)
