"""POST /api/v1/vehicles/{vin}/telemetry."""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Security
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from serving.idempotency import key as idempotency
from serving.problems.errors import (
    IdempotencyKeyError,
    IdempotencyKeyInUseError,
    ReadingsRefusedError,
)
from serving.problems.responses import documented, documented_error
from serving.responses import private_json
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.query import UnitsQuery
from serving.vehicles.readings.authorization import reading_source
from serving.vehicles.readings.body import open_body, parse_media_type
from serving.vehicles.readings.limits import REQUEST_WITHIN_S
from serving.vehicles.readings.schemas import REQUEST_BODY, ReadingsAcceptedRead
from serving.vehicles.readings.service import STATUS
from serving.vehicles.readings.source import ReadingSource

router = APIRouter(prefix=API_PREFIX, tags=["vehicles"])

REPLAYED_HEADER = "Idempotency-Replayed"

_RESPONSES: dict[int | str, dict[str, Any]] = {
    STATUS: {
        "description": "Every reading marked as accepted is durable; the others say why they are not.",
        "headers": {
            REPLAYED_HEADER: {
                "description": "`true` where the key's first answer is given again.",
                "schema": {"type": "string"},
            }
        },
    },
    **documented_error(
        IdempotencyKeyError,
        "No Idempotency-Key, or one that is no string in quotation marks.",
        'Send Idempotency-Key: "…" with a text of your own that names this request, such as a UUID.',
    ),
    **documented_error(
        IdempotencyKeyInUseError,
        "A request with the same key is still running.",
        "A request with this Idempotency-Key is still running; send yours again a moment later.",
        {"Retry-After": "Seconds to wait, a whole number."},
    ),
    **documented_error(
        ReadingsRefusedError,
        "Not one reading could be accepted, a parameter is not valid, or the key came with another body "
        "before (`urn:piston:problem:idempotency-key-reused`).",
        "No reading of the body could be accepted; errors says why.",
    ),
    **documented(401, 403, 404, 408, 413, 415, 503),
}


@router.post(
    "/vehicles/{vin}/telemetry",
    summary="Post readings of a vehicle",
    status_code=STATUS,
    response_model=ReadingsAcceptedRead,
    response_model_exclude_none=True,
    openapi_extra={"requestBody": REQUEST_BODY, "parameters": [idempotency.PARAMETER]},
    responses=_RESPONSES,
)
async def post_readings(
    request: Request,
    source: Annotated[ReadingSource, Security(reading_source, scopes=[Scope.TELEMETRY_WRITE])],
    query: Annotated[UnitsQuery, Query()],
    services: ServicesDep,
) -> Response:
    """Take readings in: one, a list, or one a line.

    For a device with its own key, which posts for the vehicle that it sits in at the reading's time, or for a
    partner with `telemetry:write`. The answer comes when every accepted reading is durable, and says what
    became of each: a bad one never costs its neighbours. Where none was accepted it is a 422. A 503 promises
    nothing: send the same again, with the same key; what had arrived is not doubled.
    """
    media_type = parse_media_type(
        request.headers.get("content-type"), request.headers.get("content-encoding")
    )
    key = idempotency.parse_key(request.headers.getlist(idempotency.HEADER))
    try:
        async with asyncio.timeout(REQUEST_WITHIN_S):
            answer = await services.readings.accept(
                source, key, open_body(media_type, request.stream()), query.units
            )
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        # nobody is there to read it; what was sent of the body may be stored, and no key remembers it
        raise HTTPException(400, "The connection ended before the body did.") from None
    headers = {REPLAYED_HEADER: "true"} if answer.is_repeated else {}
    response = private_json(orjson.dumps(answer.body), headers)
    response.status_code = STATUS
    return response
