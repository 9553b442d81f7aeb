"""Errors of the token endpoint, which speaks RFC 6749 section 5.2 and no problem documents.

OAuthError
├── InvalidRequestError        400
├── InvalidClientError         401, with a challenge
├── UnsupportedGrantTypeError  400
└── InvalidScopeError          400
"""

from typing import ClassVar

from telematics.errors import PistonError


class OAuthError(PistonError):
    """Root of the token endpoint's errors; the message becomes `error_description`."""

    status: ClassVar[int] = 400
    code: ClassVar[str]


class InvalidRequestError(OAuthError):
    """A parameter is missing, repeated or malformed, or the client authenticates in two ways at once."""

    code = "invalid_request"


class InvalidClientError(OAuthError):
    """The client is unknown or disabled, or its secret is wrong: one answer for all three."""

    status = 401
    code = "invalid_client"


class UnsupportedGrantTypeError(OAuthError):
    """Only client_credentials is granted here."""

    code = "unsupported_grant_type"


class InvalidScopeError(OAuthError):
    """A scope that does not exist or that the client does not hold."""

    code = "invalid_scope"
