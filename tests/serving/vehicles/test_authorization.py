"""What holds for every resource of a vehicle."""

from collections.abc import Callable

import httpx
import pytest
from joserfc.jwk import ECKey

from serving.scopes import Scope
from tests.serving.world import CLIENT_ID, OTHER_VIN, VIN, World

RESOURCES = {
    "live-status": Scope.TELEMETRY_READ,
    "maintenance-prediction": Scope.MAINTENANCE_READ,
    "odometer-history": Scope.ODOMETER_READ,
    "telemetry?from=2026-02-01": Scope.TELEMETRY_READ,
}
resource = pytest.mark.parametrize("resource", RESOURCES)


def path(resource: str, vin: str = VIN) -> str:
    return f"/api/v1/vehicles/{vin}/{resource}"


@resource
async def test_a_granted_vehicle_is_answered_and_kept_by_no_cache(
    resource: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get(path(resource), headers=world.headers())
    assert answer.status_code == 200
    assert answer.json()["vin"] == VIN
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Vary"] == "Authorization"


TOKENS: dict[str, Callable[[World], dict[str, str]]] = {
    "none": lambda world: {},
    "garbage": lambda world: {"Authorization": "Bearer garbage"},
    "expired": lambda world: world.headers(exp=int(world.clock.now.timestamp()) - 60),
    "another audience": lambda world: world.headers(aud="another-api"),
    "a forged key": lambda world: {"Authorization": f"Bearer {world.token(key=ECKey.generate_key('P-256'))}"},
    "an unknown partner": lambda world: world.headers(client_id="pc_x", sub="pc_x"),
}


@resource
@pytest.mark.parametrize("token", TOKENS)
async def test_without_a_good_token_nothing_is_said(
    resource: str, token: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get(path(resource), headers=TOKENS[token](world))
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer ")
    assert ("invalid_token" in challenge) == (token != "none")


@resource
async def test_who_asks_is_settled_before_what_is_asked(resource: str, client: httpx.AsyncClient) -> None:
    assert (await client.get(path(resource, "nonsense"))).status_code == 401


@resource
async def test_a_token_without_the_scope_is_told_which_one_it_needs(
    resource: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get(path(resource), headers=world.headers(scope="dtc:read"))
    assert answer.status_code == 403
    needed = RESOURCES[resource]
    assert f'error="insufficient_scope", scope="{needed}"' in answer.headers["WWW-Authenticate"]


@resource
async def test_consent_to_other_data_is_a_403_that_says_so(
    resource: str, world: World, client: httpx.AsyncClient
) -> None:
    world.grant(Scope.DTC_READ)
    answer = await client.get(path(resource), headers=world.headers())
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:piston:problem:consent-does-not-cover")


@resource
async def test_an_unknown_vehicle_and_another_partners_look_the_same(
    resource: str, world: World, client: httpx.AsyncClient
) -> None:
    world.grants.stored["pc_" + "z" * 20, OTHER_VIN] = frozenset(Scope)
    bodies = []
    for vin in (OTHER_VIN, "WVWZZZ1JZXW000001"):
        answer = await client.get(path(resource, vin), headers=world.headers())
        assert answer.status_code == 404
        bodies.append({**answer.json(), "instance": None})
        assert vin not in answer.text
    assert bodies[0] == bodies[1]


@resource
@pytest.mark.parametrize(
    "vin",
    [
        "1HGCM82633A12345",
        "1HGCM82633A1234567",
        "1HGCM82633A12345O",
        "1hgcm82633a123456",
        "%00" * 17,
        "é" * 17,
    ],
)
async def test_a_malformed_vin_is_a_422_that_points_at_it(
    resource: str, vin: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get(path(resource, vin), headers=world.headers())
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/path/vin"]


@resource
async def test_an_unknown_parameter_is_not_ignored(
    resource: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get(path(resource), params={"form": "2026-01-01"}, headers=world.headers())
    assert answer.status_code == 422
    assert "#/query/form" in [error["pointer"] for error in answer.json()["errors"]]


@resource
async def test_an_outage_is_a_503_with_a_whole_number_of_seconds(
    resource: str, world: World, client: httpx.AsyncClient
) -> None:
    headers = world.headers()
    world.outage.is_on = True
    answer = await client.get(path(resource), headers=headers)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"].isdigit()
    assert answer.headers["Content-Type"] == "application/problem+json"


@resource
async def test_other_methods_are_refused(resource: str, world: World, client: httpx.AsyncClient) -> None:
    allowed = "GET, POST" if resource.startswith("telemetry") else "GET"
    for method in ("PUT", "DELETE", "PATCH"):
        answer = await client.request(method, path(resource), headers=world.headers())
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_partner_is_the_tokens_and_nobody_elses(world: World, client: httpx.AsyncClient) -> None:
    """A grant of one partner opens nothing to another one with a good token."""
    world.grants.stored.clear()
    world.grants.stored["pc_" + "z" * 20, VIN] = frozenset(Scope)
    answer = await client.get(path("live-status"), headers=world.headers(client_id=CLIENT_ID))
    assert answer.status_code == 404
