"""Fixtures of the partner API's tests: on readers in memory (`world.py`), and on the real stores."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from serving.app import create_app
from serving.consent.service import ConsentService
from serving.partners.service import Credentials, PartnerService
from serving.scopes import PartnerKind, Scope
from telematics.settings import Settings
from tests.serving.planting import Operate, Vehicle, plant_vehicle
from tests.serving.world import World, connect, make_world


@pytest.fixture
def world() -> World:
    """One partner with a grant for one vehicle, on readers in memory."""
    return make_world()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A partner's HTTP client on the application, without a token."""
    async with connect(world.app()) as made:
        yield made


@pytest.fixture
def operate(stack: Settings) -> Operate:
    """Runs an operator's work in a transaction of its own."""

    async def run(work: Callable[[Any], Awaitable[Any]]) -> Any:
        async with await AsyncConnection.connect(stack.timescale_dsn(), row_factory=dict_row) as connection:
            return await work(connection)

    return run


@pytest.fixture
def vehicle(stack: Settings) -> Vehicle:
    return plant_vehicle(stack)


@pytest.fixture
async def partner(vehicle: Vehicle, operate: Operate) -> Credentials:
    """A partner of its own with consent for the vehicle, all scopes."""
    made: Credentials = await operate(
        lambda connection: PartnerService(connection, actor="test").create(
            f"Partner of {vehicle.vin}", PartnerKind.DEALER, scopes=list(Scope)
        )
    )
    client_id = made.partner.client_id
    await operate(
        lambda connection: ConsentService(connection, actor="test").grant(
            client_id, [vehicle.vin], purpose="test"
        )
    )
    return made


@pytest.fixture
async def anonymous(stack: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(create_app(stack)) as client:
        yield client


@pytest.fixture
async def api(anonymous: httpx.AsyncClient, partner: Credentials) -> httpx.AsyncClient:
    """A client with the partner's token, taken at the token endpoint."""
    answer = await anonymous.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(partner.partner.client_id, partner.client_secret),
    )
    anonymous.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return anonymous
