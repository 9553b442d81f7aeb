"""Commands on a queue in memory."""

import itertools
from typing import Any

import httpx
import orjson
import pytest

from serving.scopes import Scope
from tests.serving.world import CLIENT_ID, OTHER_VIN, VIN, World

PATH = f"/api/v1/vehicles/{VIN}/commands"
IMEI = "356307042441013"
_keys = itertools.count()


@pytest.fixture
def world(world: World) -> World:
    world.commands.imeis[VIN] = [IMEI]
    return world


async def post(
    client: httpx.AsyncClient, world: World, body: Any = None, *, key: str | None = None, **headers: str
) -> httpx.Response:
    given = {"command": "getinfo"} if body is None else body
    content = given if isinstance(given, bytes) else orjson.dumps(given)
    sent = {
        "Content-Type": "application/json",
        "Idempotency-Key": f'"{key or next(_keys)}"',
        **world.headers(),
        **headers,
    }
    return await client.post(PATH, content=content, headers=sent)


async def test_a_command_is_queued_for_the_tracker_in_the_vehicle(
    world: World, client: httpx.AsyncClient
) -> None:
    answer = await post(client, world)
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{PATH}/{answer.json()['command_id']}"
    ((vin, read),) = world.commands.queued.values()
    assert (vin, read.imei, read.text, read.requested_by) == (VIN, IMEI, "getinfo", f"partner:{CLIENT_ID}")
    again = await client.get(answer.headers["Location"], headers=world.headers())
    assert again.json() == answer.json()
    assert IMEI not in answer.text


async def test_the_same_again_is_one_command(world: World, client: httpx.AsyncClient) -> None:
    first, second = [await post(client, world, key="once") for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(world.commands.queued) == 1
    other = await post(client, world, {"command": "getver"}, key="once")
    assert other.json()["type"] == "urn:piston:problem:idempotency-key-reused"


@pytest.mark.parametrize("imeis", [[], [IMEI, "356307042441014"]])
async def test_no_tracker_and_several_are_409(
    imeis: list[str], world: World, client: httpx.AsyncClient
) -> None:
    world.commands.imeis[VIN] = imeis
    answer = await post(client, world, key="k")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:piston:problem:no-one-device")
    assert world.requests.stored == {}, "a failed one may run again"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/body/command"),
        ({"command": ""}, "#/body/command"),
        ({"command": "  "}, "#/body/command"),
        ({"command": "a\0b"}, "#/body/command"),
        ({"command": "gät"}, "#/body/command"),
        ({"command": "x" * 1025}, "#/body/command"),
        ({"command": ["getinfo"]}, "#/body/command"),
        ({"command": "getinfo", "expires_in_s": 0}, "#/body/expires_in_s"),
        (b'{"command":"a","expires_in_s":1000000000000000000000000000000}', "#/body/expires_in_s"),
        ({"command": "getinfo", "codec": 14}, "#/body/codec"),
        (b'{"command":"a","command":"b"}', "#/body"),
        (b"[]", "#/body"),
        (b"\xff", "#/body"),
    ],
)
async def test_a_bad_command_is_422_with_its_pointer(
    body: Any, pointer: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await post(client, world, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert world.commands.queued == {}


async def test_the_body_is_bounded_and_of_json(world: World, client: httpx.AsyncClient) -> None:
    assert (await post(client, world, b" " * 5000)).status_code == 413
    assert (await post(client, world, **{"Content-Type": "application/x-ndjson"})).status_code == 415
    assert (await post(client, world, **{"Idempotency-Key": "bare"})).status_code == 400


async def test_neither_token_nor_consent_to_read_allows_it(world: World, client: httpx.AsyncClient) -> None:
    narrow = world.headers(scope=" ".join(set(Scope) - {Scope.DEVICE_COMMAND}))
    assert (await post(client, world, **narrow)).status_code == 403
    world.grant(Scope.TELEMETRY_READ)
    assert (await post(client, world)).status_code == 403
    world.grants.stored.clear()
    assert (await post(client, world)).status_code == 404


async def test_another_vehicles_command_is_not_found(world: World, client: httpx.AsyncClient) -> None:
    location = (await post(client, world)).headers["Location"]
    world.grant(vin=OTHER_VIN)
    answer = await client.get(location.replace(VIN, OTHER_VIN), headers=world.headers())
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:piston:problem:command-not-found")
    assert (await client.get(f"{PATH}/not-a-uuid", headers=world.headers())).status_code == 422


async def test_when_the_queue_is_down_it_is_503(world: World, client: httpx.AsyncClient) -> None:
    location = (await post(client, world)).headers["Location"]
    world.outage.is_on = True
    headers = world.headers()
    assert (await client.get(location, headers=headers)).status_code == 503
