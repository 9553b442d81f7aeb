"""Every error that leaves the application, as a problem document."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving.problems.errors import FieldProblem, InvalidParametersError, ProblemError
from serving.problems.responses import (
    RETRY_AFTER_S,
    document_response,
    problem_response,
    unavailable_document,
)
from serving.request_context import REQUEST_ID_HEADER, request_id_of
from telematics.errors import UnavailableError

_log = structlog.get_logger("serving.problems")

_SENTENCES = {
    404: "There is nothing at this address; /docs lists what there is.",
    405: "This address does not know that method; see Allow.",
    408: "The request took too long; send less, or over a faster line.",
    413: "The request's body is too long.",
    415: "This address does not take a body of that media type.",
}


def _escape(part: object) -> str:
    """One reference token of a JSON Pointer (RFC 6901 section 3)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def field_problems(error: RequestValidationError) -> list[FieldProblem]:
    """The validation's findings with pointers and without the values that were sent."""
    return [
        FieldProblem(
            "#/" + "/".join(_escape(part) for part in item["loc"]),
            str(item["msg"]).removeprefix("Value error, "),
        )
        for item in error.errors()
    ]


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class only
    return problem_response(
        error.status,
        request_id=request_id_of(request.scope),
        slug=error.slug,
        title=error.title,
        detail=error.detail,
        errors=error.errors,
        headers=error.headers,
    )


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    return await _on_problem(request, InvalidParametersError(*field_problems(error)))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    headers = dict(error.headers or {})
    if error.status_code == 405 and (methods := _documented_methods(request)):
        headers["Allow"] = methods
    return problem_response(
        error.status_code,
        request_id=request_id_of(request.scope),
        detail=_SENTENCES.get(error.status_code, error.detail),
        headers=headers,
    )


def _documented_methods(request: Request) -> str:
    """All methods of the address: the routing names those of the first route that has its path."""
    path = getattr(request.scope.get("route"), "path", "")
    operations = request.app.openapi()["paths"].get(path, {})
    return ", ".join(sorted(method.upper() for method in operations))


async def _on_unavailable(request: Request, error: Exception) -> Response:
    _log.warning("store_unavailable", request_id=request_id_of(request.scope), reason=str(error))
    document = unavailable_document(request_id_of(request.scope))
    return document_response(document, {"Retry-After": str(RETRY_AFTER_S)})


async def _on_bug(request: Request, error: Exception) -> Response:
    """Anything else is a bug: the partner learns nothing of it, the server's log keeps the traceback."""
    request_id = request_id_of(request.scope)
    _log.error("unhandled_error", request_id=request_id, kind=type(error).__name__)
    # Starlette answers these outside all other middleware, so the header is set here
    return problem_response(
        500,
        request_id=request_id,
        detail="Something went wrong on our side; quote the instance when you ask us.",
        headers={REQUEST_ID_HEADER: request_id},
    )


def install_handlers(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(UnavailableError, _on_unavailable)
    app.add_exception_handler(Exception, _on_bug)
