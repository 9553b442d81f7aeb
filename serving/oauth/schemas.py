"""Shapes of the token endpoint and of its metadata."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class TokenRead(BaseModel):
    """An access token (RFC 6749 section 5.1)."""

    access_token: str = Field(description="A JWT (RFC 9068); treat it as opaque.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="Seconds until it expires.", examples=[600])
    scope: str = Field(description="What it allows.", examples=["telemetry:read odometer:read dtc:read"])


class OAuthErrorRead(BaseModel):
    """An error of the token endpoint (RFC 6749 section 5.2)."""

    error: Literal["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"] = Field(
        description="Stable code."
    )
    error_description: str = Field(description="For the developer; may change.")


class JwksRead(BaseModel):
    """The public keys that verify access tokens (RFC 7517)."""

    keys: list[dict[str, Any]]


class ServerMetadataRead(BaseModel):
    """Where and how this authorization server works (RFC 8414)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    scopes_supported: list[str]
    response_types_supported: list[str] = Field(description="None: there is no authorization endpoint.")
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    service_documentation: str
