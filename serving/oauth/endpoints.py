"""POST /oauth/token and the two well-known documents."""

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving.oauth.client_credentials import FORM, GRANT_TYPE, parse_token_request
from serving.oauth.errors import OAuthError
from serving.oauth.schemas import JwksRead, OAuthErrorRead, ServerMetadataRead, TokenRead
from serving.problems.errors import REALM
from serving.problems.responses import documented
from serving.scopes import Scope, format_scopes
from serving.services import ServicesDep

router = APIRouter(tags=["authorization"])

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_PUBLIC = {"Cache-Control": "public, max-age=300"}
"""Keys are rotated by overlap, so five minutes of caching lose nothing."""

_MAX_BODY_BYTES = 16_384
"""A token request has a few hundred bytes. FastAPI's own limit would answer in plain text."""

_TOKEN_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "const": GRANT_TYPE},
                        "scope": {
                            "type": "string",
                            "description": "Scopes, blank separated; left out: all that the client holds.",
                            "examples": ["telemetry:read odometer:read"],
                        },
                        "client_id": {
                            "type": "string",
                            "description": "Where the client does not use HTTP Basic.",
                        },
                        "client_secret": {
                            "type": "string",
                            "description": "Where the client does not use HTTP Basic.",
                        },
                    },
                },
                "example": {"grant_type": GRANT_TYPE},
            }
        },
    },
    "security": [{"clientSecretBasic": []}, {}],
}


async def _body(request: Request) -> bytes:
    """The body, read no further than the limit.

    Raises:
        HTTPException: 413, it is longer.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(413)
    return bytes(body)


def _json(body: object, headers: dict[str, str], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json", headers=headers)


@router.post(
    "/oauth/token",
    summary="Take an access token",
    response_model=TokenRead,
    openapi_extra=_TOKEN_REQUEST,
    responses={
        400: {"model": OAuthErrorRead, "description": "The request is not one that we can serve."},
        401: {
            "model": OAuthErrorRead,
            "description": "The client did not prove who it is.",
            "headers": {
                "WWW-Authenticate": {"description": "The scheme to use.", "schema": {"type": "string"}}
            },
        },
        **documented(413, 503),
    },
)
async def token(request: Request, services: ServicesDep) -> Response:
    """Client credentials grant (RFC 6749 section 4.4).

    The client authenticates by HTTP Basic (`client_secret_basic`) or in the form (`client_secret_post`).
    Tokens live for minutes: take a new one when the old one expires, not for each request.
    """
    try:
        asked = parse_token_request(
            request.headers.get("content-type"), request.headers.get("authorization"), await _body(request)
        )
        issued = await services.tokens.exchange(asked)
    except OAuthError as error:
        challenge = {"WWW-Authenticate": f'Basic realm="{REALM}"'} if error.status == 401 else {}
        body = {"error": error.code, "error_description": str(error)}
        return _json(body, {**_NO_STORE, **challenge}, error.status)
    return _json(
        {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in_s,
            "scope": format_scopes(issued.scopes),
        },
        _NO_STORE,
    )


@router.get("/.well-known/jwks.json", summary="Keys that verify access tokens", response_model=JwksRead)
async def jwks(services: ServicesDep) -> Response:
    """The public half of every key whose tokens are accepted."""
    return _json(services.keys.jwks(), _PUBLIC)


@router.get(
    "/.well-known/oauth-authorization-server",
    summary="Authorization server metadata",
    response_model=ServerMetadataRead,
)
async def server_metadata(services: ServicesDep) -> Response:
    """RFC 8414, for OAuth libraries that configure themselves."""
    issuer = services.issuer
    return _json(
        {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/oauth/token",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "scopes_supported": list(Scope),
            "response_types_supported": [],
            "grant_types_supported": [GRANT_TYPE],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "service_documentation": f"{issuer}/docs",
        },
        _PUBLIC,
    )
