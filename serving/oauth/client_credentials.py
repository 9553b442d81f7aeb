"""The client credentials grant as a pure reading of the request (RFC 6749 sections 2.3.1 and 4.4)."""

import base64
import binascii
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

from serving.oauth.errors import InvalidClientError, InvalidRequestError, UnsupportedGrantTypeError

FORM = "application/x-www-form-urlencoded"
GRANT_TYPE = "client_credentials"
_MOST_FIELDS = 20


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A well-formed request for a token."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] | None
    """None: all that the client holds."""


def parse_token_request(content_type: str | None, authorization: str | None, body: bytes) -> TokenRequest:
    """Read a token request; the client authenticates by HTTP Basic or in the form, not by both.

    Raises:
        InvalidRequestError: not a form, a parameter missing or repeated, two ways of authentication.
        InvalidClientError: no authentication, or a Basic header that cannot be read.
        UnsupportedGrantTypeError: another grant type.
    """
    form = _parse_form(content_type, body)
    grant_type = form.get("grant_type")
    if not grant_type:
        message = "grant_type is missing"
        raise InvalidRequestError(message)
    if grant_type != GRANT_TYPE:
        message = f"only grant_type={GRANT_TYPE} is served here"
        raise UnsupportedGrantTypeError(message)
    if authorization is not None:
        if "client_secret" in form:
            message = "the client must authenticate in one way only: by header or in the form"
            raise InvalidRequestError(message)
        client_id, client_secret = _parse_basic(authorization)
        if form.get("client_id", client_id) != client_id:
            message = "client_id differs between header and form"
            raise InvalidRequestError(message)
    elif form.get("client_id") and form.get("client_secret"):
        client_id, client_secret = form["client_id"], form["client_secret"]
    else:
        message = "the client must authenticate: HTTP Basic, or client_id and client_secret in the form"
        raise InvalidClientError(message)
    scope = form.get("scope")
    return TokenRequest(client_id, client_secret, tuple(scope.split()) if scope and scope.strip() else None)


def _parse_form(content_type: str | None, body: bytes) -> dict[str, str]:
    if content_type is None or content_type.partition(";")[0].strip().lower() != FORM:
        message = f"the body must be a form: Content-Type: {FORM}"
        raise InvalidRequestError(message)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError as error:
        message = "the body is not a form that can be read"
        raise InvalidRequestError(message) from error
    form = dict(pairs)
    if len(form) != len(pairs):
        message = "a parameter is repeated"
        raise InvalidRequestError(message)
    return form


def _parse_basic(authorization: str) -> tuple[str, str]:
    """Id and secret of a Basic header; both are form-encoded before base64 (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        client_id, separator, secret = (
            base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        )
    except (ValueError, binascii.Error) as error:
        message = "the Authorization header is no HTTP Basic authentication that can be read"
        raise InvalidClientError(message) from error
    if not separator:
        message = "the Authorization header has no colon between id and secret"
        raise InvalidClientError(message)
    return unquote_plus(client_id), unquote_plus(secret)
