"""GET /api/v1/vehicles/{vin}/maintenance-prediction."""

from typing import Annotated

from fastapi import APIRouter, Query, Security
from starlette.responses import Response

from serving.consent.gate import VehicleAccess
from serving.problems.responses import documented
from serving.responses import model_bytes, private_json
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.maintenance.schemas import MaintenancePredictionRead, MaintenanceQuery
from serving.vehicles.parameters import vehicle_access

router = APIRouter(prefix=API_PREFIX, tags=["vehicles"])


@router.get(
    "/vehicles/{vin}/maintenance-prediction",
    summary="What is expected to fail, and why",
    response_model=MaintenancePredictionRead,
    responses=documented(401, 403, 404, 422, 503),
)
async def maintenance_prediction(
    access: Annotated[VehicleAccess, Security(vehicle_access, scopes=[Scope.MAINTENANCE_READ])],
    query: Annotated[MaintenanceQuery, Query()],
    services: ServicesDep,
) -> Response:
    """The newest prediction for each component, as of the last scored day.

    Needs `maintenance:read`. Each prediction is a claim (`risk_level`) with the probability that it is true
    (`confidence`), a date with its range, the findings behind it, and what the model has learnt from: look at
    `trained_on.is_simulated_only` before you act on it. A component that cannot be judged is `unknown`, with
    the reason. A vehicle that was never scored has no predictions, and `pending` says so.
    """
    return private_json(model_bytes(await services.maintenance.predictions(access)))
