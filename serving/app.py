"""The application: routes, handlers and the services they share."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypedDict

from fastapi import FastAPI
from starlette.middleware import Middleware

from serving.documentation import endpoints as documentation
from serving.health import endpoints as health
from serving.oauth import endpoints as oauth
from serving.openapi import DESCRIPTION, TITLE, VERSION, build_openapi
from serving.problems.handlers import install_handlers
from serving.request_context import RequestContextMiddleware
from serving.search import endpoints as search
from serving.services import Services, open_services
from serving.vehicles.bulk import endpoints as bulk
from serving.vehicles.commands import endpoints as commands
from serving.vehicles.live_status import endpoints as live_status
from serving.vehicles.maintenance import endpoints as maintenance
from serving.vehicles.odometer import endpoints as odometer
from serving.vehicles.readings import endpoints as readings
from serving.vehicles.telemetry import endpoints as telemetry
from telematics.settings import Settings

OpenServices = Callable[[Settings], AbstractAsyncContextManager[Services]]


class AppState(TypedDict):
    """What the lifespan hands to every request."""

    services: Services


def create_app(settings: Settings, open_services: OpenServices = open_services) -> FastAPI:
    """The ASGI application; nothing connects before its lifespan starts.

    Args:
        settings: ports, secrets and lifetimes.
        open_services: opens what requests need; tests hand in services on their own readers.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with open_services(settings) as services:
            yield dict(AppState(services=services))

    app = FastAPI(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=documentation.OPENAPI_PATH,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[Middleware(RequestContextMiddleware)],
    )
    install_handlers(app)
    nouns = (
        live_status,
        maintenance,
        odometer,
        bulk,  # before the resources of one vehicle: `bulk` stands where their VIN does
        telemetry,
        readings,
        commands,
        search,
        oauth,
        health,
        documentation,
    )
    for noun in nouns:
        app.include_router(noun.router)
    app.router.routes.append(documentation.assets())
    app.openapi = partial(build_openapi, app)  # type: ignore[method-assign] # FastAPI's documented way
    return app
