"""Request id, access log and the headers that every answer carries, as one pure ASGI middleware.

The access log names the route's template, never the path: a path holds a VIN. uvicorn's own access log is
off for the same reason.
"""

import re
import time
import uuid
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telematics import vin

REQUEST_ID_HEADER = "X-Request-Id"
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._:-]{8,128}")
_SEPARATOR = re.compile(r"[._:-]")
_log = structlog.get_logger("serving.access")


def request_id_of(scope: Scope) -> str:
    """The request's id as the middleware set it."""
    request_id: str = scope.get("state", {}).get("request_id") or str(uuid.uuid4())
    return request_id


def choose_request_id(offered: bytes | None) -> str:
    """The caller's id where it is harmless to log and echo, else a new one.

    What has a VIN's form is not taken: the id goes to the log, a VIN must not.
    """
    if offered is not None and _ACCEPTED_ID.fullmatch(offered):
        text = offered.decode("ascii")
        if not any(vin.is_well_formed(part) for part in _SEPARATOR.split(text.upper())):
            return text
    return str(uuid.uuid4())


def _route_template(scope: Scope) -> str:
    route: Any = scope.get("route")
    return getattr(route, "path", "unmatched")


class RequestContextMiddleware:
    """Gives each request an id, echoes it, and writes one line when the answer is out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        offered = dict(scope["headers"]).get(b"x-request-id")
        request_id = choose_request_id(offered)
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            _log.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                route=_route_template(scope),
                status=status,
                client_id=scope["state"].get("client_id"),
                duration_ms=round((time.perf_counter() - started) * 1000, 2),
            )
