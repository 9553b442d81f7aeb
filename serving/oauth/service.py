"""Exchanges a partner's credentials for an access token."""

from collections.abc import Iterable
from dataclasses import dataclass

from serving.oauth.client_credentials import TokenRequest
from serving.oauth.errors import InvalidClientError, InvalidScopeError
from serving.oauth.tokens import TokenIssuer
from serving.partners.directory import PartnerDirectory
from serving.partners.models import Partner
from serving.partners.secrets import SecretChecker, is_client_id
from serving.scopes import Scope, UnknownScopeError, format_scopes, parse_scopes


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and what it allows."""

    access_token: str
    expires_in_s: int
    scopes: frozenset[Scope]


class TokenService:
    """The token endpoint's one operation."""

    def __init__(self, partners: PartnerDirectory, secrets: SecretChecker, issuer: TokenIssuer) -> None:
        self._partners = partners
        self._secrets = secrets
        self._issuer = issuer

    async def exchange(self, request: TokenRequest) -> IssuedToken:
        """A token for the client.

        Raises:
            InvalidClientError: unknown or disabled client, or a wrong secret.
            InvalidScopeError: a scope that the client does not hold.
            StoreUnavailableError: partners cannot be looked up.
        """
        partner = await self._authenticate(request)
        scopes = partner.scopes if request.scopes is None else _requested(request.scopes, partner)
        token = self._issuer.issue(partner.client_id, scopes)
        return IssuedToken(token, self._issuer.lifetime_s, scopes)

    async def _authenticate(self, request: TokenRequest) -> Partner:
        found = None
        if is_client_id(request.client_id):
            found = await self._partners.find_with_secret_hash(request.client_id)
        same = await self._secrets.matches(request.client_secret, found[1] if found else None)
        if found is None or not same or found[0].is_disabled:
            message = "client id or secret is wrong, or the client is not active"
            raise InvalidClientError(message)
        return found[0]


def _requested(texts: Iterable[str], partner: Partner) -> frozenset[Scope]:
    try:
        scopes = parse_scopes(texts)
    except UnknownScopeError as error:
        message = f"unknown scope; this client holds {format_scopes(partner.scopes)}"
        raise InvalidScopeError(message) from error
    if not scopes <= partner.scopes:
        message = f"this client does not hold {format_scopes(scopes - partner.scopes)}"
        raise InvalidScopeError(message)
    return scopes
