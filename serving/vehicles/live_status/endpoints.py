"""GET /api/v1/vehicles/{vin}/live-status."""

from typing import Annotated

from fastapi import APIRouter, Query, Security
from starlette.responses import Response

from serving.consent.gate import VehicleAccess
from serving.problems.responses import documented
from serving.responses import model_bytes, private_json
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.live_status.schemas import LiveStatusMetricRead, LiveStatusRead
from serving.vehicles.parameters import vehicle_access
from serving.vehicles.query import UnitsQuery

router = APIRouter(prefix=API_PREFIX, tags=["vehicles"])


@router.get(
    "/vehicles/{vin}/live-status",
    summary="Newest state of a vehicle",
    response_model=LiveStatusRead | LiveStatusMetricRead,
    responses=documented(401, 403, 404, 422, 503),
)
async def live_status(
    access: Annotated[VehicleAccess, Security(vehicle_access, scopes=[Scope.TELEMETRY_READ])],
    query: Annotated[UnitsQuery, Query()],
    services: ServicesDep,
) -> Response:
    """What the vehicle last said, within a second of its record being acknowledged.

    Needs `telemetry:read`. Further scopes fill further fields: `odometer:read` the odometer,
    `location:precise` or `location:coarse` the location, `dtc:read` the trouble codes, `maintenance:read` the
    health score with its parts, `score:read` the driving score. What is null is listed either in `pending`
    (no value yet) or in `withheld` (not covered).
    """
    return private_json(model_bytes(await services.live_status.live_status(access, query.units)))
