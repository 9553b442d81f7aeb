"""GET /api/v1/vehicles/{vin}/telemetry."""

from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query, Request, Security
from starlette.responses import Response, StreamingResponse

from serving.consent.gate import VehicleAccess
from serving.problems.responses import documented
from serving.request_context import request_id_of
from serving.responses import PRIVATE, private_json
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.parameters import vehicle_access
from serving.vehicles.telemetry.export import MEDIA_TYPE, export_lines, wants_export
from serving.vehicles.telemetry.query import TelemetryQuery
from serving.vehicles.telemetry.schemas import (
    BucketPageMetricRead,
    BucketPageRead,
    TelemetryPageMetricRead,
    TelemetryPageRead,
)

router = APIRouter(prefix=API_PREFIX, tags=["vehicles"])

_PAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of records; or, for `Accept: application/x-ndjson`, all of them.",
        "headers": {
            "Link": {
                "description": 'RFC 8288: `<…>; rel="next"` where there is a next page.',
                "schema": {"type": "string"},
            }
        },
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "string",
                    "description": 'A record a line, and `{"next": CURSOR}` now and then. The last line has '
                    "`end`: true where the export is whole, false with the `error` that ended it; a text "
                    "without such a line is cut: go on from its last cursor.",
                },
                "example": '{"time":"2025-12-01T00:00:00.000Z","odometer":45632.1}\n'
                '{"end":true,"records":1,"tiers":["cold"],"pending_tiers":[],"next":null}\n',
            }
        },
    }
}


@router.get(
    "/vehicles/{vin}/telemetry",
    summary="Records of a vehicle",
    response_model=TelemetryPageRead | TelemetryPageMetricRead | BucketPageRead | BucketPageMetricRead,
    responses={**_PAGE, **documented(400, 401, 403, 404, 422, 503)},
)
async def telemetry(
    request: Request,
    access: Annotated[VehicleAccess, Security(vehicle_access, scopes=[Scope.TELEMETRY_READ])],
    query: Annotated[TelemetryQuery, Query()],
    services: ServicesDep,
) -> Response:
    """Every record of the range, or a row for each minute, hour or day, oldest first, over all storage tiers.

    Needs `telemetry:read`. `odometer:read`, `location:precise` or `location:coarse` and `dtc:read` fill
    further fields; without them these are null and listed in `withheld`. The range is half-open: records
    with `from` <= `time` < `to`. Follow `next` (or the `Link` header) until it is null; a cursor stays good
    as long as its signing key is in use, and a withdrawn consent ends it at once.

    With `Accept: application/x-ndjson` the whole range comes as one stream, up to ten years.
    """
    if wants_export(request.headers.get("accept")):

        async def reopen() -> VehicleAccess:
            partner = await services.bearer.authenticate(request.headers.get("authorization"))
            return await services.gate.open(partner, access.vin, [Scope.TELEMETRY_READ])

        source, first = await services.telemetry.export(access, query, reopen)
        lines = export_lines(source, first, request_id_of(request.scope))
        return StreamingResponse(lines, media_type=MEDIA_TYPE, headers=PRIVATE)
    answer = await services.telemetry.page(access, query)
    headers = {}
    if answer.next_cursor is not None:
        more: dict[str, Any] = {"cursor": answer.next_cursor}
        if query.limit is not None:
            more["limit"] = query.limit
        headers["Link"] = f'<{request.url.path}?{urlencode(more)}>; rel="next"'
    return private_json(orjson.dumps(answer.body), headers)
