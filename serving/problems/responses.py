"""Problem documents as HTTP answers, and as entries of the OpenAPI document."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from serving.problems.errors import FieldProblem, ProblemError
from serving.problems.schemas import MEDIA_TYPE

RETRY_AFTER_S = 5
"""What we ask for when a store does not answer: a restart of any of ours takes about that long."""

_UNAVAILABLE: dict[str, Any] = {
    "slug": "store-unavailable",
    "title": "Not available now",
    "detail": "A store behind this answer does not respond; try again in a few seconds.",
}

_SCHEMA = {"$ref": "#/components/schemas/Problem"}

_DOCUMENTED: dict[int, tuple[str, dict[str, str], dict[str, Any]]] = {
    400: (
        "The cursor was changed, or belongs to another query.",
        {},
        {
            "type": "urn:piston:problem:cursor-refused",
            "title": "The cursor cannot be used",
            "detail": "This cursor was not handed out for this query; start again.",
            "errors": [
                {
                    "pointer": "#/query/cursor",
                    "detail": "This cursor was not handed out for this query; start again.",
                }
            ],
        },
    ),
    401: (
        "No access token, or none that is accepted.",
        {"WWW-Authenticate": "The challenge of RFC 6750."},
        {
            "type": "urn:piston:problem:unauthenticated",
            "title": "An access token is needed",
            "detail": "The access token has expired.",
        },
    ),
    403: (
        "The token, or the owner's consent, does not cover this class of data.",
        {"WWW-Authenticate": "The challenge of RFC 6750 with the scope that is needed."},
        {
            "type": "urn:piston:problem:insufficient-scope",
            "title": "The token does not allow this",
            "detail": "This resource needs a token with the scope odometer:read.",
        },
    ),
    404: (
        "The vehicle is unknown, or its owner has not consented: the same answer on purpose.",
        {},
        {
            "type": "urn:piston:problem:vehicle-not-found",
            "title": "No such vehicle",
            "detail": "There is no vehicle with this VIN that you may read: it is unknown, or its owner has "
            "not consented, or the consent has ended.",
        },
    ),
    413: (
        "The body is far longer than any request of this kind.",
        {},
        {
            "type": "about:blank",
            "title": "Request Entity Too Large",
            "detail": "The request's body is too long.",
        },
    ),
    408: (
        "The body did not come in time.",
        {},
        {
            "type": "about:blank",
            "title": "Request Timeout",
            "detail": "The request took too long; send less.",
        },
    ),
    415: (
        "The body's media type, charset or compression is none that this address takes.",
        {},
        {
            "type": "about:blank",
            "title": "Unsupported Media Type",
            "detail": "This address does not take a body of that media type.",
        },
    ),
    422: (
        "A parameter is not valid; `errors` points at each.",
        {},
        {
            "type": "urn:piston:problem:invalid-parameters",
            "title": "A parameter is not valid",
            "detail": "See errors for each parameter that is not valid.",
            "errors": [{"pointer": "#/query/to", "detail": "`to` must be later than `from`"}],
        },
    ),
    503: (
        "A store behind this answer does not respond now; the same request works later.",
        {"Retry-After": "Seconds to wait, a whole number."},
        {
            "type": "urn:piston:problem:store-unavailable",
            "title": "Not available now",
            "detail": "A store behind this answer does not respond; try again in a few seconds.",
        },
    ),
}


def request_urn(request_id: str) -> str:
    """The URN that names one answer."""
    return f"urn:piston:request:{request_id}"


def problem_document(
    status: int,
    *,
    request_id: str,
    detail: str,
    slug: str | None = None,
    title: str | None = None,
    errors: Iterable[FieldProblem] = (),
) -> dict[str, Any]:
    """A problem document; without `slug` its type is `about:blank` and its title the status' own phrase."""
    document: dict[str, Any] = {
        "type": f"urn:piston:problem:{slug}" if slug else "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request_urn(request_id),
    }
    pointed = [{"pointer": error.pointer, "detail": error.detail} for error in errors]
    if pointed:
        document["errors"] = pointed
    return document


def unavailable_document(request_id: str) -> dict[str, Any]:
    """The problem document of a store that does not answer."""
    return problem_document(503, request_id=request_id, **_UNAVAILABLE)


def problem_response(
    status: int,
    *,
    request_id: str,
    detail: str,
    slug: str | None = None,
    title: str | None = None,
    errors: Iterable[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The document as an answer."""
    document = problem_document(
        status, request_id=request_id, detail=detail, slug=slug, title=title, errors=errors
    )
    return document_response(document, headers)


def document_response(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A problem document as an answer with its status."""
    return Response(
        orjson.dumps(document),
        status_code=document["status"],
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Entries for FastAPI's `responses=`: description, headers, schema and an example for each status."""
    return {status: _entry(status, *_DOCUMENTED[status]) for status in statuses}


def documented_error(
    error: type[ProblemError], description: str, detail: str, headers: Mapping[str, str] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The same for one error of `serving.problems.errors`, where its status says something else here.

    Args:
        error: with status, slug and title.
        description: when it comes.
        detail: an example's.
        headers: name → description.
    """
    example = {"type": f"urn:piston:problem:{error.slug}", "title": error.title, "detail": detail}
    return {error.status: _entry(error.status, description, headers or {}, example)}


def _entry(
    status: int, description: str, headers: Mapping[str, str], example: Mapping[str, Any]
) -> dict[str, Any]:
    instance = request_urn("7f9c24e8-3b0c-4d6e-9a38-0c5a2f1e7d11")
    entry: dict[str, Any] = {
        "description": description,
        "content": {
            MEDIA_TYPE: {
                "schema": _SCHEMA,
                "example": {**example, "status": status, "instance": instance},
            }
        },
    }
    if headers:
        entry["headers"] = {
            name: {
                "description": text,
                "schema": {"type": "integer" if name == "Retry-After" else "string"},
            }
            for name, text in headers.items()
        }
    return entry
