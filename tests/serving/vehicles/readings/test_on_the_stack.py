"""Posted readings through the real Kafka and sink into the real hypertable, each once."""

import asyncio
import itertools
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli.main import build
from ingest.stream.reading_form import parse_reading
from ingest.stream.readings import content_hash, encode_reading
from serving.app import create_app
from serving.device_keys.models import MadeKey
from serving.device_keys.service import DeviceKeyService
from serving.partners.service import Credentials
from telematics.clock import rfc3339_ms
from telematics.settings import Settings
from tests.ingest.services import ServiceProcess, free_port, service, wait_for_port
from tests.serving.planting import Operate, Vehicle, at, environment, path, plant_vehicle, timescale
from tests.serving.world import connect
from tests.stack_fixture import free_ports

pytestmark = pytest.mark.integration

_numbers = itertools.count()


@pytest.fixture(scope="module")
def sink(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with service("sink", stack, tmp_path_factory.mktemp("sink")) as process:
        yield process


@pytest.fixture
async def device_key(vehicle: Vehicle, operate: Operate) -> MadeKey:
    made: MadeKey = await operate(
        lambda connection: DeviceKeyService(connection, actor="test").add(vehicle.imei)
    )
    return made


def reading(vehicle: Vehicle, second: int, **fields: Any) -> dict[str, Any]:
    moment = at(vehicle.day, 6) + timedelta(seconds=second)
    return {"timestamp": rfc3339_ms(moment), "speed_mph": 40 + second % 20, **fields}


async def post(client: httpx.AsyncClient, vehicle: Vehicle, body: Any, **headers: str) -> httpx.Response:
    key = {"Idempotency-Key": f'"{next(_numbers)}-{secrets.token_hex(8)}"'}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(
        path(vehicle, "telemetry"),
        content=content,
        headers={"Content-Type": "application/json", **key, **headers},
    )


async def rows(settings: Settings, vehicle: Vehicle, expected: int, patience_s: float = 90.0) -> list[Any]:
    """The vehicle's rows, once there are as many as expected; more would be seen, too."""
    deadline = time.monotonic() + patience_s
    while True:
        with timescale(settings) as connection:
            found = connection.execute(
                "select device_id, time, content_hash, speed_mph, odometer, odometer_source, stream_position"
                " from telemetry where vin = %s order by time, device_id",
                [vehicle.vin],
            ).fetchall()
        if len(found) >= expected:
            return found
        assert time.monotonic() < deadline, f"{len(found)} rows of {expected}"
        await asyncio.sleep(0.1)


async def test_readings_of_a_partner_and_of_a_device_land_in_the_hypertable_and_are_read_back(
    stack: Settings,
    vehicle: Vehicle,
    api: httpx.AsyncClient,
    partner: Credentials,
    device_key: MadeKey,
    sink: ServiceProcess,
) -> None:
    assert (await post(api, vehicle, reading(vehicle, 1, odometer=1000))).status_code == 202
    async with connect(create_app(stack)) as device:
        answer = await post(
            device, vehicle, [reading(vehicle, 2, odometer=1001)], **{"X-API-Key": str(device_key.key)}
        )
    assert answer.status_code == 202, answer.text
    first, second = await rows(stack, vehicle, 2)
    assert (first[0], first[4], first[5]) == (f"partner:{partner.partner.client_id}", 1000.0, "partner")
    assert (second[0], second[5]) == (vehicle.imei, "gnss")
    canonical = encode_reading(parse_reading(reading(vehicle, 1, odometer=1000), vehicle.vin))
    assert first[2] == content_hash(canonical)
    assert first[6] != second[6]
    window = {"from": str(vehicle.day), "to": str(vehicle.day + timedelta(days=1))}
    records = (await api.get(path(vehicle, "telemetry"), params=window)).json()["records"]
    assert [record["speed_mph"] for record in records] == [41.0, 42.0]
    with timescale(stack) as connection:
        used = connection.execute(
            "select last_used_at is not null from device_keys where imei = %s", [vehicle.imei]
        ).fetchone()
    assert used == (True,)


async def test_whatever_is_posted_again_is_one_row_though_the_sink_is_killed(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient, sink: ServiceProcess
) -> None:
    """As a client does that lost its answers: the same readings in other bodies, under other keys."""
    chance = random.Random(7)
    readings = [reading(vehicle, second) for second in range(400)]

    async def send(number: int) -> None:
        for _ in range(3):
            share = chance.sample(readings, 60) + readings[number * 50 : number * 50 + 50]
            if number % 2:
                body, media = b"\n".join(json.dumps(each).encode() for each in share), "application/x-ndjson"
            else:
                body, media = json.dumps({"readings": share}).encode(), "application/json"
            answer = await post(api, vehicle, body, **{"Content-Type": media})
            assert (answer.status_code, answer.json()["accepted"]) == (202, 110)

    async def kill_now_and_then() -> None:
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0.3, 0.9))
            sink.kill()
            sink.start()

    await asyncio.gather(kill_now_and_then(), *(send(number) for number in range(8)))
    await rows(stack, vehicle, len(readings))
    await asyncio.sleep(1.0)
    found = await rows(stack, vehicle, len(readings))
    assert len(found) == len({(row[0], row[1], row[2]) for row in found}) == len(readings)


async def test_the_api_killed_in_the_middle_of_a_body_loses_and_doubles_nothing(
    stack: Settings, vehicle: Vehicle, device_key: MadeKey, sink: ServiceProcess, tmp_path: Path
) -> None:
    port = free_port()
    settings = stack.model_copy(update={"api_port": port})
    lines = [json.dumps(reading(vehicle, second)).encode() + b"\n" for second in range(600)]
    headers = {"X-API-Key": str(device_key.key), "Content-Type": "application/x-ndjson"}
    is_halfway = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"".join(lines[:300])
        is_halfway.set()
        await asyncio.sleep(30)
        yield b"".join(lines[300:])

    async def send(content: Any, key: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            return await client.post(
                path(vehicle, "telemetry"),
                content=content,
                headers={**headers, "Idempotency-Key": f'"{key}"'},
            )

    with service("api", settings, tmp_path) as api:
        await wait_for_port(port, api)
        cut_off = asyncio.create_task(send(slowly(), "first"))
        await is_halfway.wait()
        await rows(stack, vehicle, 1)
        api.kill()
        with pytest.raises(httpx.TransportError):
            await cut_off
        api.start()
        await wait_for_port(port, api)
        assert (await send(b"".join(lines), "first")).status_code == 409, "its lease has not ended"
        answer = await send(b"".join(lines), "second")
    assert (answer.status_code, answer.json()["accepted"]) == (202, len(lines))
    await rows(stack, vehicle, len(lines))
    await asyncio.sleep(1.0)
    assert len(await rows(stack, vehicle, len(lines))) == len(lines)


async def test_a_reading_in_the_wrong_form_is_a_dead_letter_and_its_replay_lands_once(
    stack: Settings, vehicle: Vehicle, sink: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = encode_reading(parse_reading(reading(vehicle, 5), vehicle.vin))
    with timescale(stack) as connection:
        row = connection.execute(
            "insert into dead_letters (topic, topic_id, partition, message_offset, device_id, received_at,"
            " reason, detail, message) values ('telemetry.readings.v1', %s, 0, 0, %s, now(), 'bad_json',"
            " 'by an older release', %s) returning dead_letter_id",
            [secrets.token_hex(8), vehicle.imei, value],
        ).fetchone()
    assert row is not None
    for name, setting in environment(stack).items():
        monkeypatch.setenv(name, setting)
    replays = [CliRunner().invoke(build(), ["dead-letters", "replay", str(row[0])]) for _ in range(2)]
    assert [replay.exit_code for replay in replays] == [0, 1], "the second has nothing to replay"
    assert len(await rows(stack, vehicle, 1)) == 1
    with timescale(stack) as connection:
        status = connection.execute(
            "select status from dead_letters where dead_letter_id = %s", [row[0]]
        ).fetchone()
    assert status == ("replayed",)


async def test_the_first_answer_is_given_again_from_the_real_table(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": f'"{secrets.token_hex(8)}"'}
    body = [reading(vehicle, 1), {"timestamp": "soon", "a\0b": 1}]
    first, second = [await post(api, vehicle, body, **key) for _ in range(2)]
    assert (first.status_code, second.status_code) == (202, 202), first.text
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    other = await post(api, vehicle, [reading(vehicle, 2)], **key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:piston:problem:idempotency-key-reused")


async def test_of_many_at_once_with_one_key_one_runs(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": f'"{secrets.token_hex(8)}"'}
    answers = await asyncio.gather(*(post(api, vehicle, reading(vehicle, 1), **key) for _ in range(6)))
    fresh = [a for a in answers if a.status_code == 202 and "Idempotency-Replayed" not in a.headers]
    assert len(fresh) == 1
    assert {answer.status_code for answer in answers} <= {202, 409}


async def test_without_kafka_it_is_503_and_the_key_is_free_again(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    (dead,) = free_ports(1)
    cut_off = stack.model_copy(update={"kafka_servers": f"127.0.0.1:{dead}", "api_delivery_timeout_s": 0.5})
    key = {"Idempotency-Key": f'"{secrets.token_hex(8)}"', "Authorization": api.headers["Authorization"]}
    async with connect(create_app(cut_off)) as client:
        answer = await post(client, vehicle, [reading(vehicle, 1), {}], **key)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "5"
    assert (await post(api, vehicle, [reading(vehicle, 1), {}], **key)).status_code == 202


async def test_without_the_database_it_is_503(stack: Settings, vehicle: Vehicle, device_key: MadeKey) -> None:
    (dead,) = free_ports(1)
    async with connect(create_app(stack.model_copy(update={"timescale_port": dead}))) as client:
        answer = await post(client, vehicle, reading(vehicle, 1), **{"X-API-Key": str(device_key.key)})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


async def test_a_device_key_opens_its_own_car_until_it_is_revoked(
    stack: Settings, vehicle: Vehicle, device_key: MadeKey, operate: Operate
) -> None:
    other = plant_vehicle(stack)
    key = {"X-API-Key": str(device_key.key)}
    async with connect(create_app(stack)) as client:
        assert (await post(client, vehicle, reading(vehicle, 1), **key)).status_code == 202
        assert (await post(client, other, reading(vehicle, 1), **key)).status_code == 404
        wrong = {"X-API-Key": f"{device_key.key.key_id}_{'A' * 43}"}
        assert (await post(client, vehicle, reading(vehicle, 1), **wrong)).status_code == 401
        await operate(
            lambda connection: DeviceKeyService(connection, actor="test").revoke(device_key.key.key_id)
        )
        assert (await post(client, vehicle, reading(vehicle, 1), **key)).status_code == 401
