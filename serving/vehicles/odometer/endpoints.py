"""GET /api/v1/vehicles/{vin}/odometer-history."""

from typing import Annotated

from fastapi import APIRouter, Query, Security
from starlette.responses import Response

from serving.consent.gate import VehicleAccess
from serving.problems.responses import documented
from serving.responses import model_bytes, private_json
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.odometer.schemas import (
    OdometerHistoryMetricRead,
    OdometerHistoryRead,
    OdometerQuery,
)
from serving.vehicles.parameters import vehicle_access

router = APIRouter(prefix=API_PREFIX, tags=["vehicles"])


@router.get(
    "/vehicles/{vin}/odometer-history",
    summary="Mileage over time",
    response_model=OdometerHistoryRead | OdometerHistoryMetricRead,
    responses=documented(401, 403, 404, 422, 503),
)
async def odometer_history(
    access: Annotated[VehicleAccess, Security(vehicle_access, scopes=[Scope.ODOMETER_READ])],
    query: Annotated[OdometerQuery, Query()],
    services: ServicesDep,
) -> Response:
    """The last odometer reading of each UTC day that the range touches, oldest first.

    Needs `odometer:read`. At most twenty years in one query. All readings come from the one source of the
    vehicle's tracker; a day without a reading is left out.
    """
    answer = await services.odometer.history(access, query.from_, query.to, query.units)
    return private_json(model_bytes(answer))
