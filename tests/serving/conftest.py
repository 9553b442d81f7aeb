"""Fixtures of the partner API's tests: see `tests/serving/world.py`."""

from collections.abc import AsyncIterator

import httpx
import pytest

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
