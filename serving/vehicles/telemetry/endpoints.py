"""GET /api/v1/vehicles/{vin}/telemetry."""

from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query, Request, Security
from starlette.responses import Response

from serving.consent.gate import VehicleAccess
from serving.problems.responses import documented
from serving.responses import private_json
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.parameters import vehicle_access
from serving.vehicles.telemetry.schemas import TelemetryPageMetricRead, TelemetryPageRead, TelemetryQuery

router = APIRouter(prefix=API_PREFIX, tags=["vehicles"])

_LINK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of records.",
        "headers": {
            "Link": {
                "description": 'RFC 8288: `<…>; rel="next"` where there is a next page.',
                "schema": {"type": "string"},
            }
        },
    }
}


@router.get(
    "/vehicles/{vin}/telemetry",
    summary="Records of a vehicle",
    response_model=TelemetryPageRead | TelemetryPageMetricRead,
    responses={**_LINK, **documented(400, 401, 403, 404, 422, 503)},
)
async def telemetry(
    request: Request,
    access: Annotated[VehicleAccess, Security(vehicle_access, scopes=[Scope.TELEMETRY_READ])],
    query: Annotated[TelemetryQuery, Query()],
    services: ServicesDep,
) -> Response:
    """Every record of the range, oldest first, over all storage tiers.

    Needs `telemetry:read`. `odometer:read`, `location:precise` or `location:coarse` and `dtc:read` fill
    further fields; without them these are null and listed in `withheld`. The range is half-open: records
    with `from` <= `time` < `to`. Follow `next` (or the `Link` header) until it is null; a cursor stays good
    as long as its signing key is in use, and a withdrawn consent ends it at once.
    """
    answer = await services.telemetry.page(access, query)
    headers = {}
    if answer.next_cursor is not None:
        more = urlencode({"cursor": answer.next_cursor, "limit": query.limit, "units": query.units})
        headers["Link"] = f'<{request.url.path}?{more}>; rel="next"'
    return private_json(orjson.dumps(answer.body), headers)
