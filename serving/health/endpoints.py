"""GET /healthz and /readyz."""

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from serving.services import ServicesDep

router = APIRouter(tags=["operation"])


class HealthRead(BaseModel):
    """This process answers."""

    status: str = Field(examples=["alive"])


class ReadinessRead(BaseModel):
    """Whether requests can be served."""

    status: str = Field(description="`ready` or `not_ready`.", examples=["ready"])
    stores: dict[str, bool] = Field(
        description="Each store and whether it answers.",
        examples=[{"timescale": True, "clickhouse": True, "valkey": True}],
    )


def _answer(status: int, body: dict[str, object]) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@router.get("/healthz", summary="Is the process alive", response_model=HealthRead)
async def healthz() -> Response:
    """Answers whenever the process does; asks no store. For liveness probes."""
    return _answer(200, {"status": "alive"})


@router.get(
    "/readyz",
    summary="Do the stores answer",
    response_model=ReadinessRead,
    responses={503: {"model": ReadinessRead, "description": "At least one store does not answer."}},
)
async def readyz(services: ServicesDep) -> Response:
    """Asks every store, for two seconds at most. For load balancers."""
    stores = await services.readiness.check()
    ready = all(stores.values())
    return _answer(200 if ready else 503, {"status": "ready" if ready else "not_ready", "stores": stores})
