import httpx
import pytest

from serving.oauth.bearer import TRUSTED_FOR
from serving.scopes import Scope
from tests.serving.world import VIN, World

PATH = f"/api/v1/vehicles/{VIN}/live-status"


async def test_a_verified_token_is_looked_up_once_in_thirty_seconds(
    world: World, client: httpx.AsyncClient
) -> None:
    headers = world.headers()
    for _ in range(3):
        assert (await client.get(PATH, headers=headers)).status_code == 200
    assert world.partners.lookups == 1
    world.clock.advance(seconds=TRUSTED_FOR.total_seconds())
    assert (await client.get(PATH, headers=headers)).status_code == 200
    assert world.partners.lookups == 2


async def test_a_disabled_partner_is_refused_within_thirty_seconds(
    world: World, client: httpx.AsyncClient
) -> None:
    headers = world.headers()
    assert (await client.get(PATH, headers=headers)).status_code == 200
    world.change_partner(disabled_at=world.clock.now)
    world.clock.advance(seconds=30)
    answer = await client.get(PATH, headers=headers)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_a_remembered_token_still_expires(world: World, client: httpx.AsyncClient) -> None:
    headers = world.headers(exp=int(world.clock.now.timestamp()) + 5)
    assert (await client.get(PATH, headers=headers)).status_code == 200
    world.clock.advance(seconds=20)
    assert (await client.get(PATH, headers=headers)).status_code == 401


async def test_a_scope_that_the_partner_lost_no_longer_counts(
    world: World, client: httpx.AsyncClient
) -> None:
    world.change_partner(scopes=frozenset({Scope.ODOMETER_READ}))
    assert (await client.get(PATH, headers=world.headers())).status_code == 403


async def test_a_withdrawn_consent_ends_with_the_next_request(
    world: World, client: httpx.AsyncClient
) -> None:
    headers = world.headers()
    assert (await client.get(PATH, headers=headers)).status_code == 200
    world.grants.stored.clear()
    assert (await client.get(PATH, headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic cGM6eA==", "Token x", "bearer\tx", "Bearer a b", "Bearer \xff"]
)
async def test_a_header_of_another_form_is_no_token(header: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH, headers={b"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="piston"')


async def test_a_token_in_the_address_is_not_taken(world: World, client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH, params={"access_token": world.token()})
    assert answer.status_code == 401
