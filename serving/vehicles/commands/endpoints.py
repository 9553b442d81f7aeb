"""POST /api/v1/vehicles/{vin}/commands, and GET of one."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Request, Security
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from serving.consent.gate import VehicleAccess
from serving.idempotency import key as idempotency
from serving.json_body import BoundedBody, NotJsonError, parse_json
from serving.problems.errors import (
    FieldProblem,
    IdempotencyKeyError,
    IdempotencyKeyInUseError,
    InvalidParametersError,
    NoDeviceError,
)
from serving.problems.responses import documented, documented_error
from serving.responses import private_json
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.commands.schemas import MAX_BODY_BYTES, CommandDocument, CommandWrite
from serving.vehicles.commands.service import STATUS
from serving.vehicles.parameters import vehicle_access
from serving.vehicles.query import NoQuery
from serving.vehicles.readings.body import MediaType, parse_media_type
from serving.vehicles.readings.endpoints import REPLAYED_HEADER

router = APIRouter(prefix=API_PREFIX, tags=["vehicles"])

CommandAccess = Annotated[VehicleAccess, Security(vehicle_access, scopes=[Scope.DEVICE_COMMAND])]

_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {MediaType.JSON.value: {"schema": CommandWrite.model_json_schema()}},
    },
    "parameters": [idempotency.PARAMETER],
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    STATUS: {
        "description": "The command is queued, durably.",
        "headers": {
            "Location": {"description": "Where it can be read.", "schema": {"type": "string"}},
            REPLAYED_HEADER: {
                "description": "`true` where the key's first answer is given again.",
                "schema": {"type": "string"},
            },
        },
    },
    **documented_error(
        IdempotencyKeyError,
        "No Idempotency-Key, or one that is no string in quotation marks.",
        'Send Idempotency-Key: "…" with a text of your own that names this request, such as a UUID.',
    ),
    **documented_error(
        NoDeviceError,
        "There is no tracker in the vehicle, or more than one; or a request with the same key is running "
        f"(`urn:piston:problem:{IdempotencyKeyInUseError.slug}`).",
        "There is no tracker in this vehicle now, so there is nobody to tell.",
    ),
    **documented(401, 403, 404, 413, 415, 422, 503),
}


async def _command(request: Request) -> CommandWrite:
    media_type = parse_media_type(
        request.headers.get("content-type"), request.headers.get("content-encoding")
    )
    if media_type is not MediaType.JSON:
        raise HTTPException(415)
    try:
        document = parse_json(await BoundedBody(request.stream(), MAX_BODY_BYTES).read())
        return CommandWrite.model_validate(document)
    except NotJsonError as error:
        raise InvalidParametersError(FieldProblem("#/body", str(error))) from error
    except ValidationError as error:
        problems = (
            FieldProblem("/".join(("#/body", *map(str, item["loc"]))), item["msg"]) for item in error.errors()
        )
        raise InvalidParametersError(*problems) from error
    except ClientDisconnect:
        raise HTTPException(400, "The connection ended before the body did.") from None


@router.post(
    "/vehicles/{vin}/commands",
    summary="Tell a vehicle's tracker something",
    status_code=STATUS,
    response_model=CommandDocument,
    openapi_extra=_REQUEST,
    responses=_RESPONSES,
)
async def post_command(
    request: Request, access: CommandAccess, query: Annotated[NoQuery, Query()], services: ServicesDep
) -> Response:
    """Queue a command for the tracker in the vehicle.

    Needs `device:command`, which no partner holds by default: a command can change the tracker's settings,
    and its answer may hold all that it knows. The command is sent when the tracker is connected and has sent
    what it had to say; until then it waits, through restarts of ours, too.
    """
    key = idempotency.parse_key(request.headers.getlist(idempotency.HEADER))
    answer = await services.commands.enqueue(access, key, await _command(request))
    headers = {"Location": f"{request.url.path}/{answer.body['command_id']}"}
    if answer.is_repeated:
        headers[REPLAYED_HEADER] = "true"
    response = private_json(orjson.dumps(answer.body), headers)
    response.status_code = STATUS
    return response


@router.get(
    "/vehicles/{vin}/commands/{command_id}",
    summary="What became of a command",
    response_model=CommandDocument,
    responses=documented(401, 403, 404, 422, 503),
)
async def command(
    access: CommandAccess,
    command_id: Annotated[UUID, Path(description="As the POST answered it.")],
    query: Annotated[NoQuery, Query()],
    services: ServicesDep,
) -> Response:
    """A command that this partner sent to this vehicle, with the tracker's answer once there is one."""
    return private_json(orjson.dumps(await services.commands.read(access, command_id)))
