"""Commands over HTTP in the real queue."""

import secrets

import httpx
import psycopg
import pytest

from ingest.commands import repository
from ingest.commands.models import CommandStatus
from ingest.commands.repository import CHANNEL
from serving.consent.service import ConsentService
from serving.partners.service import PartnerService
from serving.scopes import PartnerKind, Scope
from telematics.settings import Settings
from tests.serving.planting import Operate, Vehicle, path, timescale

pytestmark = pytest.mark.integration


async def post(
    client: httpx.AsyncClient, vehicle: Vehicle, key: str, text: str = "getinfo"
) -> httpx.Response:
    return await client.post(
        path(vehicle, "commands"), json={"command": text}, headers={"Idempotency-Key": f'"{key}"'}
    )


async def test_a_command_wakes_the_gateways_and_its_answer_is_read(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    with timescale(stack) as gateway:
        gateway.execute(f"listen {CHANNEL}")
        answer = await post(api, vehicle, secrets.token_hex(8))
        assert answer.status_code == 202, answer.text
        heard = {notice.payload for notice in gateway.notifies(timeout=5, stop_after=1)}
        assert heard == {vehicle.imei}
        with gateway.transaction():
            ((_, command),) = repository.claim(gateway, [(vehicle.imei, "session")])
            assert (command.text, str(command.command_id)) == ("getinfo", answer.json()["command_id"])
            repository.finish(gateway, command.command_id, CommandStatus.ANSWERED, "RTC:2025")
    read = (await api.get(answer.headers["Location"])).json()
    assert (read["status"], read["answer"], read["attempts"]) == ("answered", "RTC:2025", 1)


async def test_the_same_again_is_one_row_with_one_audit_event(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    key = secrets.token_hex(8)
    first, second = [await post(api, vehicle, key) for _ in range(2)]
    assert first.json() == second.json()
    with timescale(stack) as connection:
        counted = connection.execute(
            "select (select count(*) from device_commands where imei = %(imei)s),"
            " (select count(*) from audit_events where action = 'device.commanded' and subject = %(device)s)",
            {"imei": vehicle.imei, "device": f"device:{vehicle.imei}"},
        ).fetchone()
    assert counted == (1, 1)


async def test_a_vehicle_without_a_tracker_in_service_is_409(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    with timescale(stack) as connection:
        connection.execute("update devices set status = 'retired' where imei = %s", [vehicle.imei])
    assert (await post(api, vehicle, "k")).status_code == 409


async def test_another_partner_with_the_same_car_does_not_see_it(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient, operate: Operate
) -> None:
    location = (await post(api, vehicle, secrets.token_hex(8))).headers["Location"]
    other = await operate(
        lambda connection: PartnerService(connection, actor="test").create(
            f"Other of {vehicle.vin}", PartnerKind.DEALER, scopes=list(Scope)
        )
    )
    await operate(
        lambda connection: ConsentService(connection, actor="test").grant(
            other.partner.client_id, [vehicle.vin], purpose="test"
        )
    )
    token = await api.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(other.partner.client_id, other.client_secret),
        headers={"Authorization": ""},
    )
    headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
    assert (await api.get(location, headers=headers)).status_code == 404
    assert (await api.get(location)).status_code == 200


async def test_a_tracker_that_moved_keeps_its_old_cars_commands_apart(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    location = (await post(api, vehicle, secrets.token_hex(8))).headers["Location"]
    with psycopg.connect(stack.timescale_dsn(), autocommit=True) as connection:
        connection.execute(
            "update device_installations set removed_at = now() where imei = %s", [vehicle.imei]
        )
    assert (await post(api, vehicle, secrets.token_hex(8))).status_code == 409
    assert (await api.get(location)).status_code == 200
