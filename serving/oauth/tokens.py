"""Access tokens: RFC 9068 JWTs, signed with ES256."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError

from serving.oauth.keys import ALGORITHM, SigningKeys
from serving.scopes import Scope, format_scopes, known_scopes
from telematics.clock import Clock, utc_now
from telematics.errors import PistonError

TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 section 2.1
CLOCK_SKEW_S = 10
"""How far the clocks of two of our machines may differ; an expired token lives that much longer."""
_LONGEST_TOKEN = 4096
"""Ours have about 700 characters; nothing longer is worth a signature check."""


class TokenRefusedError(PistonError):
    """A token that we did not issue, or that no longer holds; the message may be told to its bearer."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified token says."""

    client_id: str
    scopes: frozenset[Scope]
    expires_at: datetime


class TokenIssuer:
    """Signs tokens."""

    def __init__(
        self, keys: SigningKeys, *, issuer: str, audience: str, lifetime_s: int, clock: Clock = utc_now
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self.lifetime_s = lifetime_s
        self._clock = clock

    def issue(self, client_id: str, scopes: Iterable[Scope]) -> str:
        """A token for a partner, valid from now for the lifetime."""
        now = int(self._clock().timestamp())
        return jwt.encode(
            {"typ": TOKEN_TYPE, "alg": ALGORITHM, "kid": self._keys.key_id},
            {
                "iss": self._issuer,
                "aud": self._audience,
                "sub": client_id,
                "client_id": client_id,
                "scope": format_scopes(scopes),
                "jti": str(uuid.uuid4()),
                "iat": now,
                "exp": now + self.lifetime_s,
            },
            self._keys.signing,
            algorithms=[ALGORITHM],
        )


class TokenVerifier:
    """Checks tokens as RFC 9068 section 4 asks: type, pinned algorithm, signature, issuer, audience, time."""

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str, clock: Clock = utc_now) -> None:
        self._keys = keys
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock().timestamp()),
            leeway=CLOCK_SKEW_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            client_id={"essential": True},
            jti={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
        )

    def verify(self, token: str) -> AccessToken:
        """What the token says, once everything about it is checked.

        Raises:
            TokenRefusedError: anything about it is not as it must be.
        """
        if len(token) > _LONGEST_TOKEN:
            raise TokenRefusedError(_NOT_ACCEPTED)
        try:
            decoded = jwt.decode(token, self._keys.verifying, algorithms=[ALGORITHM])
            if decoded.header.get("typ") not in (TOKEN_TYPE, f"application/{TOKEN_TYPE}"):
                raise TokenRefusedError(_NOT_ACCEPTED)
            if "kid" not in decoded.header:
                raise TokenRefusedError(_NOT_ACCEPTED)
            self._claims.validate(decoded.claims)
        except ExpiredTokenError as error:
            message = "The access token has expired."
            raise TokenRefusedError(message) from error
        except (JoseError, ValueError, TypeError) as error:
            raise TokenRefusedError(_NOT_ACCEPTED) from error
        claims = decoded.claims
        scope, client_id = claims.get("scope", ""), claims["client_id"]
        if not isinstance(scope, str) or not isinstance(client_id, str) or client_id != claims["sub"]:
            raise TokenRefusedError(_NOT_ACCEPTED)
        return AccessToken(client_id, known_scopes(scope.split()), datetime.fromtimestamp(claims["exp"], UTC))


_NOT_ACCEPTED = "The access token is not valid."
