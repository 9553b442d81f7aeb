"""POST telemetry on readers in memory: who may, what is answered, what would be in the stream."""

import asyncio
import itertools
from typing import Any

import httpx
import orjson
import pytest

from serving.device_keys.models import Period
from serving.device_keys.secrets import new_key
from serving.scopes import Scope
from serving.vehicles.readings.limits import MAX_READINGS
from telematics.clock import epoch_ms
from tests.serving.world import CLIENT_ID, NOW, OTHER_VIN, VIN, World

PATH = f"/api/v1/vehicles/{VIN}/telemetry"
AT = "2026-03-01T11:00:00Z"
IMEI = "356307042441013"
GOOD = {"timestamp": AT, "speed_mph": 45, "location": {"lat": 37.7749, "lng": -122.4194}}
_keys = itertools.count()


def key_header(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": f'"{key or f"key-{next(_keys)}"}"'}


def device_key(world: World, vin: str = VIN, periods: list[Period] | None = None) -> dict[str, str]:
    """A device that was in the vehicle until now."""
    key = str(new_key())
    world.devices.keys[key] = IMEI
    world.devices.periods[IMEI, vin] = periods or [Period(0, epoch_ms(NOW))]
    return {"X-API-Key": key}


async def post(
    client: httpx.AsyncClient, world: World, body: Any = GOOD, *, key: str | None = None, **how: Any
) -> httpx.Response:
    headers = {
        "Content-Type": "application/json",
        **world.headers(),
        **key_header(key),
        **how.pop("headers", {}),
    }
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await client.post(how.pop("path", PATH), content=content, headers=headers, **how)


def sent(world: World) -> list[tuple[str, dict[str, Any]]]:
    return [(key.decode(), orjson.loads(value)) for key, value, _ in world.log.landed_messages]


async def test_one_reading_is_in_the_stream_when_it_is_accepted(
    world: World, client: httpx.AsyncClient
) -> None:
    answer = await post(client, world)
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 1,
        "rejected": 0,
        "results": [{"index": 0, "status": "accepted"}],
    }
    assert sent(world) == [
        (
            f"partner:{CLIENT_ID}",
            {
                "vin": VIN,
                "timestamp": "2026-03-01T11:00:00.000Z",
                "speed_mph": 45.0,
                "location": {"lat": 37.7749, "lng": -122.4194},
            },
        )
    ]
    assert world.log.landed_messages[0][2] == [("received_at", b"%d" % epoch_ms(NOW))]


@pytest.mark.parametrize("body", [[GOOD, {**GOOD, "rpm": 900}], {"readings": [GOOD, {**GOOD, "rpm": 900}]}])
async def test_a_batch_is_a_list_or_an_object_with_one(
    body: Any, world: World, client: httpx.AsyncClient
) -> None:
    answer = await post(client, world, body)
    assert (answer.status_code, answer.json()["accepted"], len(sent(world))) == (202, 2, 2)


async def test_a_bad_reading_never_costs_its_neighbours(world: World, client: httpx.AsyncClient) -> None:
    bad = {"timestamp": AT, "speed_mph": "fast", "dtc_codes": ["X"]}
    answer = await post(client, world, [GOOD, bad, 7, {**GOOD, "rpm": 900}])
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["rejected"], len(sent(world))) == (2, 2, 2)
    assert [result["status"] for result in body["results"]] == [
        "accepted",
        "rejected",
        "rejected",
        "accepted",
    ]
    assert [(error["pointer"], error["reason"]) for error in body["results"][1]["errors"]] == [
        ("/speed_mph", "wrong_type"),
        ("/dtc_codes/0", "bad_form"),
    ]


async def test_ndjson_is_a_reading_a_line(world: World, client: httpx.AsyncClient) -> None:
    text = b"\n".join([orjson.dumps(GOOD), b"", b"{", b'{"timestamp":"x"}', orjson.dumps({**GOOD, "rpm": 1})])
    answer = await post(client, world, text, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 202
    assert [result["status"] for result in answer.json()["results"]] == [
        "accepted", "rejected", "rejected", "accepted",
    ]  # fmt: skip
    assert len(sent(world)) == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"timestamp": AT, "speed_mph": -1}, "#/body/speed_mph"),
        ([{"timestamp": AT, "speed_mph": -1}], "#/body/0/speed_mph"),
        ({"readings": [{"timestamp": AT, "rpm": 1.5}]}, "#/body/readings/0/rpm"),
        ({"timestamp": "2026-03-02T12:00:01Z"}, "#/body/timestamp"),
        ({"timestamp": "2038-01-19T03:14:07Z"}, "#/body/timestamp"),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "#/body/timestamp"),
        ({**GOOD, "speed_kph": 3}, "#/body/speed_kph"),
        ([], "#/body"),
        (b"{", "#/body"),
        (b"\xff", "#/body"),
        (b'{"timestamp":"2026-03-01T11:00:00Z","rpm":1,"rpm":2}', "#/body"),
        (b'{"timestamp":"2026-03-01T11:00:00Z","speed_mph":NaN}', "#/body"),
        (b'{"timestamp":"2026-03-01T11:00:00Z","speed_mph":1' + b"0" * 300 + b"}", "#/body/speed_mph"),
        (b"[" * 1500 + b"]" * 1500, "#/body"),
    ],
)
async def test_where_nothing_is_accepted_it_is_422_with_pointers(
    body: Any, pointer: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await post(client, world, body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert sent(world) == []
    assert world.requests.stored == {}


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        ("text/csv", b"a,b", 415),
        ("application/json", b" " * 1_100_000, 413),
        ("application/json", orjson.dumps([GOOD] * (MAX_READINGS + 1)), 413),
        ("application/x-ndjson", b"\n\n", 422),
    ],
)
async def test_what_cannot_be_taken_is_a_problem_document(
    content_type: str, content: bytes, status: int, world: World, client: httpx.AsyncClient
) -> None:
    answer = await post(client, world, content, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_metric_readings_are_kept_in_the_blueprints_units(
    world: World, client: httpx.AsyncClient
) -> None:
    answer = await post(client, world, {"timestamp": AT, "speed_kph": 100}, params={"units": "metric"})
    assert answer.status_code == 202
    assert sent(world)[0][1]["speed_mph"] == pytest.approx(62.137119)


async def test_without_a_key_it_is_400(world: World, client: httpx.AsyncClient) -> None:
    headers = {**world.headers(), "Content-Type": "application/json"}
    for wrong in ({}, {"Idempotency-Key": "bare"}):
        answer = await client.post(PATH, content=orjson.dumps(GOOD), headers={**headers, **wrong})
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:piston:problem:idempotency-key")
    assert sent(world) == []


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
async def test_the_same_again_is_answered_again_and_done_once(
    content_type: str, world: World, client: httpx.AsyncClient
) -> None:
    headers = {"Content-Type": content_type}
    first, second = [await post(client, world, key="once", headers=headers) for _ in range(2)]
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert (first.headers.get("Idempotency-Replayed"), second.headers["Idempotency-Replayed"]) == (
        None,
        "true",
    )
    assert len(sent(world)) == 1


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
async def test_the_same_key_with_another_body_is_422(
    content_type: str, world: World, client: httpx.AsyncClient
) -> None:
    headers = {"Content-Type": content_type}
    await post(client, world, key="once", headers=headers)
    answer = await post(client, world, {**GOOD, "rpm": 1}, key="once", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:piston:problem:idempotency-key-reused")
    assert len(sent(world)) == 1


async def test_while_one_runs_another_with_its_key_is_409(world: World, client: httpx.AsyncClient) -> None:
    world.log.holds = asyncio.Event()
    running = asyncio.create_task(post(client, world, key="busy"))
    await world.log.reached.wait()
    answer = await post(client, world, key="busy")
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
    world.log.holds.set()
    assert (await running).status_code == 202
    assert len(sent(world)) == 1


async def test_when_kafka_does_not_confirm_nothing_is_promised_and_the_key_is_free(
    world: World, client: httpx.AsyncClient
) -> None:
    world.log.is_down = True
    answer = await post(client, world, [GOOD, {"timestamp": "bad"}], key="again")
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert answer.headers["Retry-After"].isdigit()
    assert "results" not in answer.json()
    world.log.is_down = False
    assert (await post(client, world, [GOOD, {"timestamp": "bad"}], key="again")).status_code == 202


async def test_when_the_database_is_down_it_is_503(world: World, client: httpx.AsyncClient) -> None:
    headers = {**device_key(world), **key_header(), "Content-Type": "application/json"}
    world.outage.is_on = True
    answer = await client.post(PATH, content=orjson.dumps(GOOD), headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")


async def test_a_partner_needs_the_scope_in_its_token(world: World, client: httpx.AsyncClient) -> None:
    headers = {
        **world.headers(scope=Scope.TELEMETRY_READ),
        **key_header(),
        "Content-Type": "application/json",
    }
    answer = await client.post(PATH, content=orjson.dumps(GOOD), headers=headers)
    assert answer.status_code == 403
    assert 'scope="telemetry:write"' in answer.headers["WWW-Authenticate"]


async def test_consent_to_read_is_no_consent_to_write(world: World, client: httpx.AsyncClient) -> None:
    world.grant(Scope.TELEMETRY_READ)
    assert (await post(client, world)).status_code == 403


async def test_unknown_and_not_granted_are_the_same_404(world: World, client: httpx.AsyncClient) -> None:
    answers = [
        await post(client, world, path=PATH.replace(VIN, vin)) for vin in (OTHER_VIN, "1HGCM82633A000000")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert len({answer.json()["detail"] for answer in answers}) == 1


@pytest.mark.parametrize(
    "vin", ["1HGCM82633A12345O", "1HGCM82633A12345I", "1HGCM82633A12345Q", "short", "%00" * 17]
)
async def test_a_malformed_vin_is_422(vin: str, world: World, client: httpx.AsyncClient) -> None:
    assert (await post(client, world, path=PATH.replace(VIN, vin))).status_code == 422


async def test_a_device_posts_under_its_imei(world: World, client: httpx.AsyncClient) -> None:
    headers = {**device_key(world), **key_header(), "Content-Type": "application/json"}
    answer = await client.post(PATH, content=orjson.dumps(GOOD), headers=headers)
    assert answer.status_code == 202
    assert sent(world)[0][0] == IMEI


async def test_a_device_of_another_car_finds_no_vehicle(world: World, client: httpx.AsyncClient) -> None:
    headers = {**device_key(world, OTHER_VIN), **key_header(), "Content-Type": "application/json"}
    answer = await client.post(PATH, content=orjson.dumps(GOOD), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:piston:problem:vehicle-not-found")


async def test_a_device_that_moved_posts_for_the_time_that_it_was_there(
    world: World, client: httpx.AsyncClient
) -> None:
    headers = {**device_key(world), **key_header(), "Content-Type": "application/json"}
    later = {**GOOD, "timestamp": "2026-03-01T12:00:00Z"}
    answer = await client.post(PATH, content=orjson.dumps([GOOD, later]), headers=headers)
    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "rejected"]
    assert answer.json()["results"][1]["errors"][0]["reason"] == "not_installed"


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": "pdk_x"}, {"X-API-Key": str(new_key())}, {"X-API-Key": ""}]
)
async def test_without_a_good_key_or_token_it_is_401(
    headers: dict[str, str], world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.post(PATH, content=b"", headers={**headers, **key_header()})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_a_token_and_a_key_at_once_are_refused(world: World, client: httpx.AsyncClient) -> None:
    assert (await post(client, world, headers=device_key(world))).status_code == 401


async def test_keys_of_two_senders_are_apart(world: World, client: httpx.AsyncClient) -> None:
    headers = {**device_key(world), **key_header("same"), "Content-Type": "application/json"}
    assert (await client.post(PATH, content=orjson.dumps(GOOD), headers=headers)).status_code == 202
    answer = await post(client, world, key="same")
    assert answer.status_code == 202
    assert "Idempotency-Replayed" not in answer.headers
