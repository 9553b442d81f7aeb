"""The OpenAPI document: what FastAPI derives, plus what it cannot know."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.problems.schemas import ProblemRead

TITLE = "Piston partner API"
VERSION = "1.0.0"

DESCRIPTION = """\
Live vehicle telemetry for partners.

**Authorization.** Take a token at `/oauth/token` with your client credentials and send it as
`Authorization: Bearer TOKEN`. A vehicle can be read while its owner's consent holds; one that is unknown and
one that is not granted give the same 404.

**Devices** post their readings with a key of their own, `X-API-Key: pdk_…`, which opens nothing else. A POST
needs an `Idempotency-Key`, a text in quotation marks, so that it can be sent again without being done twice.

**Times** are RFC 3339. A bare date means 00:00Z. Ranges are half-open, `from` <= t < `to`; `to` defaults to
now. `time` is the device's clock, `received_at` is ours.

**Units.** Default are miles, mph and feet; `units=metric` gives kilometres, km/h and metres under names that
end in their unit. `accuracy_m` is always metres: HDOP × a user equivalent range error of 5 m.

**Null** means: not known. `pending` lists what no source has delivered yet, `withheld` what your token or the
owner's consent does not cover. New fields may appear at any time: ignore those that you do not know.

**Long answers** come in pages: follow `next` until it is null. Records also come whole, as NDJSON, where you
accept `application/x-ndjson`; the last line has `end`, and a text without it is cut.

**Errors** are problem documents (RFC 9457); `/oauth/token` answers as RFC 6749 says. Every answer has an
`X-Request-Id`; send your own to find a request again.
"""

_TAGS = [
    {"name": "vehicles", "description": "What is known of a vehicle."},
    {"name": "search", "description": "Which vehicles fit."},
    {"name": "authorization", "description": "Tokens and the keys that verify them."},
    {"name": "operation", "description": "For probes and load balancers."},
]

_REQUEST_ID_HEADER = {
    "description": "The request's id, yours if you sent one; `instance` of a problem names it.",
    "schema": {"type": "string"},
}


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The document, built once an application."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(
        title=TITLE,
        version=VERSION,
        summary="Live status, maintenance predictions, verified mileage and telemetry of vehicles.",
        description=DESCRIPTION,
        routes=app.routes,
        tags=_TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = ProblemRead.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components.setdefault("securitySchemes", {})["clientSecretBasic"] = {
        "type": "http",
        "scheme": "basic",
        "description": "Client id and secret, for /oauth/token only.",
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                response.setdefault("headers", {})["X-Request-Id"] = _REQUEST_ID_HEADER
    app.openapi_schema = document
    return document
