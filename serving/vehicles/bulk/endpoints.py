"""POST /api/v1/vehicles/bulk/telemetry."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Security
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from serving.consent.gate import VehiclesAccess
from serving.json_body import BoundedBody, NotJsonError, parse_json
from serving.partners.models import PartnerScope
from serving.problems.errors import FieldProblem, InvalidParametersError
from serving.problems.responses import documented
from serving.request_context import request_id_of
from serving.responses import PRIVATE, private_json
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.bulk.schemas import MAX_BODY_BYTES, REQUEST_BODY, BulkPageRead, BulkQuery
from serving.vehicles.parameters import authenticated_partner
from serving.vehicles.query import NoQuery
from serving.vehicles.readings.body import MediaType, parse_media_type
from serving.vehicles.telemetry.export import MEDIA_TYPE, export_lines, wants_export

router = APIRouter(prefix=API_PREFIX, tags=["vehicles"])

_NEEDED = (Scope.TELEMETRY_READ,)
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of records; or, for `Accept: application/x-ndjson`, all of them.",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "string",
                    "description": "As of one vehicle; each record has its `vin`, and the last line says of "
                    "each vehicle what a page says, with the count of its records.",
                },
                "example": '{"vin":"1HGCM82633A123456","time":"2025-12-01T00:00:00.000Z","rpm":1450}\n'
                '{"end":true,"records":1,"vehicles":[],"not_found":[],"not_covered":[],"next":null}\n',
            }
        },
    }
}


async def _query(request: Request) -> BulkQuery:
    media_type = parse_media_type(
        request.headers.get("content-type"), request.headers.get("content-encoding")
    )
    if media_type is not MediaType.JSON:
        raise HTTPException(415)
    try:
        body = await BoundedBody(request.stream(), MAX_BODY_BYTES).read()
        parse_json(body)  # I-JSON; pydantic would take a name twice
        return BulkQuery.model_validate_json(body)
    except NotJsonError as error:
        raise InvalidParametersError(FieldProblem("#/body", str(error))) from error
    except ValidationError as error:
        raise InvalidParametersError(
            *(
                FieldProblem(
                    "/".join(("#/body", *map(str, item["loc"]))), item["msg"].removeprefix("Value error, ")
                )
                for item in error.errors(include_input=False, include_url=False)
            )
        ) from None
    except ClientDisconnect:
        raise HTTPException(400, "The connection ended before the body did.") from None


@router.post(
    "/vehicles/bulk/telemetry",
    summary="Records of many vehicles",
    response_model=BulkPageRead,
    openapi_extra={"requestBody": REQUEST_BODY},
    responses={**_PAGE, **documented(400, 401, 403, 413, 415, 422, 503)},
)
async def bulk_telemetry(
    request: Request,
    partner: Annotated[PartnerScope, Security(authenticated_partner, scopes=[Scope.TELEMETRY_READ])],
    _: Annotated[NoQuery, Query()],
    services: ServicesDep,
) -> Response:
    """Records of up to 1,000 vehicles, one vehicle after the other, over all storage tiers.

    What holds for one vehicle holds for each: its own consent, `withheld`, `tiers` and `pending_tiers`. A VIN
    that is unknown or not granted stands in `not_found` and costs its neighbours nothing. Follow `next`: send
    the same body with `cursor`. It only reads, so it takes no `Idempotency-Key`.

    With `Accept: application/x-ndjson` the whole range comes as one stream, up to ten years.
    """
    query = await _query(request)
    access = await services.gate.open_many(partner, query.vins, _NEEDED)
    if wants_export(request.headers.get("accept")):

        async def reopen() -> VehiclesAccess:
            again = await services.bearer.authenticate(request.headers.get("authorization"))
            return await services.gate.open_many(again, query.vins, _NEEDED)

        source, first = await services.bulk.export(access, query, reopen)
        lines = export_lines(source, first, request_id_of(request.scope))
        return StreamingResponse(lines, media_type=MEDIA_TYPE, headers=PRIVATE)
    return private_json(orjson.dumps(await services.bulk.page(access, query)))
