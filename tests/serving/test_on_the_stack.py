"""The application on the real stores."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from serving.app import create_app
from serving.consent.service import ConsentService
from serving.partners.service import Credentials, PartnerService
from serving.scopes import Scope
from telematics.settings import Settings
from tests.serving.planting import (
    Operate,
    Vehicle,
    at,
    clickhouse,
    path,
    plant_hot,
    plant_live,
    plant_scores,
    plant_vehicle,
    plant_warm,
    timescale,
)
from tests.serving.world import connect
from tests.stack_fixture import free_ports

pytestmark = pytest.mark.integration

_MART = (
    "date Date, vin String, source LowCardinality(String), odometer Float64, "
    "last_read_at DateTime64(3, 'UTC'), is_primary Bool"
)


async def test_live_status_reads_what_the_live_writer_and_the_warehouse_wrote(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    moment = at(vehicle.day, 7, 30)
    plant_live(
        stack,
        vehicle,
        moment,
        seen={"received_at": "2015-06-01T07:30:01Z"},
        position={"lat": 42.28, "lng": -83.74, "accuracy_m": 4.0, "is_valid": True},
        odometer={"miles": 45632.1, "source": "gnss"},
        battery_voltage=12.4,
        dtc_codes=["P0300"],
    )
    driving = {"avg_speed_mph_7d": 32.5, "hard_brakes_7d": None}
    plant_scores(stack, vehicle, {"as_of": "2015-06-01", "odometer": None, "driving": driving})
    body = (await api.get(path(vehicle, "live-status"))).json()
    assert body["last_seen"] == f"{vehicle.day}T07:30:00.000Z"
    assert body["current_odometer"] == 45632.1
    assert body["location"] == {"lat": 42.28, "lng": -83.74, "accuracy_m": 4.0}
    assert body["vehicle_health"]["active_dtc_codes"] == ["P0300"]
    assert body["driving_behavior"]["avg_speed_7d"] == 32.5
    assert "driving_behavior.hard_brakes_7d" in body["pending"]


async def test_live_status_is_never_older_than_redis(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    for minute in range(3):
        plant_live(stack, vehicle, at(vehicle.day, 7, minute), seen={})
        body = (await api.get(path(vehicle, "live-status"))).json()
        assert body["last_seen"] == f"{vehicle.day}T07:0{minute}:00.000Z"


async def test_telemetry_reads_both_tiers_as_one(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    next_day = vehicle.day + timedelta(days=1)
    plant_warm(stack, vehicle, at(vehicle.day, 23), 12)
    plant_hot(stack, vehicle, at(next_day), 9)
    query: dict[str, Any] = {"from": str(vehicle.day), "to": str(next_day + timedelta(days=1)), "limit": 5}
    records, tiers = [], set()
    while True:
        answer = await api.get(path(vehicle, "telemetry"), params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        records += body["records"]
        tiers.update(body["tiers"])
        if body["next"] is None:
            break
        query["cursor"] = body["next"]
    times = [record["time"] for record in records]
    assert (len(times), len(set(times)), times) == (21, 21, sorted(times))
    assert tiers == {"cold", "hot"}, "the day is long past"
    assert {record["speed_mph"] for record in records} == {45.36}
    assert (records[0]["dtc_codes"], records[-1]["dtc_codes"]) == (["P0300"], [])
    assert records[0]["location"] == {"lat": 42.2808256, "lng": -83.7430378, "accuracy_m": 4.0}


async def test_a_fleet_is_read_through_one_request_over_both_tiers(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    foreign = plant_vehicle(stack)
    next_day = vehicle.day + timedelta(days=1)
    plant_warm(stack, vehicle, at(vehicle.day, 23), 3)
    plant_hot(stack, vehicle, at(next_day), 2)
    plant_hot(stack, foreign, at(next_day), 2)
    query: dict[str, Any] = {
        "vins": [foreign.vin, vehicle.vin, "SRVTEST9999999999"],
        "fields": ["location", "odometer"],
        "from": str(vehicle.day),
        "to": str(next_day + timedelta(days=1)),
    }
    body = (await api.post("/api/v1/vehicles/bulk/telemetry", json=query)).json()
    [part] = body["vehicles"]
    assert (part["vin"], len(part["records"]), part["tiers"]) == (vehicle.vin, 5, ["cold", "hot"])
    assert body["not_found"] == sorted([foreign.vin, "SRVTEST9999999999"])
    daily = query | {"resolution": "1d"}
    body = (await api.post("/api/v1/vehicles/bulk/telemetry", json=daily)).json()
    assert [
        (row["time"][:10], row["data_points"], row["distance_mi"]) for row in body["vehicles"][0]["records"]
    ] == [(str(vehicle.day), 3, 2.0), (str(next_day), 2, 1.0)]


async def test_a_range_is_half_open(stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient) -> None:
    plant_hot(stack, vehicle, at(vehicle.day, 10), 3)
    window = {"from": f"{vehicle.day}T10:00:00Z", "to": f"{vehicle.day}T10:00:02Z"}
    body = (await api.get(path(vehicle, "telemetry"), params=window)).json()
    assert [record["time"][-5:] for record in body["records"]] == [".000Z"] * 2


async def test_a_changed_cursor_is_refused(stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient) -> None:
    plant_hot(stack, vehicle, at(vehicle.day, 10), 3)
    query = {"from": str(vehicle.day), "to": f"{vehicle.day}T23:00:00Z", "limit": 1}
    cursor = (await api.get(path(vehicle, "telemetry"), params=query)).json()["next"]
    assert (await api.get(path(vehicle, "telemetry"), params={"cursor": cursor})).status_code == 200
    changed = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    assert (await api.get(path(vehicle, "telemetry"), params={"cursor": changed})).status_code == 400


@pytest.fixture
def odometer_mart(stack: Settings) -> Iterator[Any]:
    """The mart, made here while dbt has not built it."""
    with clickhouse(stack) as client:
        is_made_here = client.command("exists table analytics.odometer_readings") == 0
        if is_made_here:
            client.command(
                f"create table analytics.odometer_readings ({_MART}) engine = MergeTree order by (vin, date)"
            )
        yield client
        if is_made_here:
            client.command("drop table analytics.odometer_readings sync")


async def test_odometer_history_is_the_primary_source_of_the_mart(
    vehicle: Vehicle, api: httpx.AsyncClient, odometer_mart: Any
) -> None:
    next_day = vehicle.day + timedelta(days=1)
    odometer_mart.insert(
        "analytics.odometer_readings",
        [
            [vehicle.day, vehicle.vin, "gps_continuous", 40000.5, at(vehicle.day, 9), True],
            [vehicle.day, vehicle.vin, "can", 41000.0, at(vehicle.day, 9), False],
            [next_day, vehicle.vin, "gps_continuous", 40100.25, at(next_day, 9), True],
        ],
        column_names=["date", "vin", "source", "odometer", "last_read_at", "is_primary"],
    )
    answer = await api.get(path(vehicle, "odometer-history"), params={"from": str(vehicle.day)})
    assert answer.json()["readings"] == [
        {"date": str(vehicle.day), "odometer": 40000.5, "source": "gps_continuous"},
        {"date": str(next_day), "odometer": 40100.25, "source": "gps_continuous"},
    ]
    narrow = {"from": str(vehicle.day), "to": str(next_day)}
    body = (await api.get(path(vehicle, "odometer-history"), params=narrow)).json()
    assert [reading["date"] for reading in body["readings"]] == [str(vehicle.day)]


async def test_another_partners_vehicle_and_an_unknown_one_look_the_same(
    stack: Settings, api: httpx.AsyncClient
) -> None:
    foreign = plant_vehicle(stack)
    unknown = Vehicle("SRVTEST9999999999", "", foreign.day)
    for resource in ("live-status", "odometer-history", "telemetry?from=2015-01-01&to=2015-02-01"):
        answers = [await api.get(path(each, resource)) for each in (foreign, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404]
        bodies = [{**answer.json(), "instance": None} for answer in answers]
        assert bodies[0] == bodies[1]


async def test_consent_ends_when_it_is_revoked_and_when_it_expires(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient, partner: Credentials, operate: Operate
) -> None:
    client_id = partner.partner.client_id
    assert (await api.get(path(vehicle, "live-status"))).status_code == 200
    await operate(
        lambda connection: ConsentService(connection, actor="test").revoke(client_id, [vehicle.vin])
    )
    assert (await api.get(path(vehicle, "live-status"))).status_code == 404
    await operate(
        lambda connection: ConsentService(connection, actor="test").grant(
            client_id, [vehicle.vin], purpose="again", scopes=[Scope.TELEMETRY_READ]
        )
    )
    narrow = (await api.get(path(vehicle, "live-status"))).json()
    assert "current_odometer" in narrow["withheld"]
    assert (await api.get(path(vehicle, "odometer-history"))).status_code == 403
    with timescale(stack) as connection:
        connection.execute(
            "update grants set granted_at = now() - interval '2 s', expires_at = now() - interval '1 s'"
            " where client_id = %s and purpose = 'again'",
            [client_id],
        )
    assert (await api.get(path(vehicle, "live-status"))).status_code == 404


async def test_a_disabled_partner_gets_no_further_token(
    anonymous: httpx.AsyncClient, partner: Credentials, operate: Operate
) -> None:
    client_id = partner.partner.client_id
    await operate(lambda connection: PartnerService(connection, actor="test").disable(client_id))
    answer = await anonymous.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, partner.client_secret)
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_rotated_secret_replaces_the_old_one(
    anonymous: httpx.AsyncClient, partner: Credentials, operate: Operate
) -> None:
    client_id = partner.partner.client_id
    rotated: Credentials = await operate(
        lambda connection: PartnerService(connection, actor="test").rotate_secret(client_id)
    )
    statuses = [
        (
            await anonymous.post(
                "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret)
            )
        ).status_code
        for secret in (partner.client_secret, rotated.client_secret)
    ]
    assert statuses == [401, 200]


async def test_the_stores_are_ready(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/readyz")
    assert answer.json() == {
        "status": "ready",
        "stores": {"timescale": True, "clickhouse": True, "valkey": True},
    }


async def test_without_any_store_every_answer_is_a_503_and_none_a_500(stack: Settings) -> None:
    names = ("timescale_port", "clickhouse_http_port", "valkey_port")
    ports = dict(zip(names, free_ports(3), strict=True))
    async with connect(create_app(stack.model_copy(update=ports))) as client:
        readiness = await client.get("/readyz")
        assert (readiness.status_code, set(readiness.json()["stores"].values())) == (503, {False})
        answer = await client.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=("pc_" + "a" * 20, "x")
        )
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("missing", "resource"),
    [
        ("valkey_port", "live-status"),
        ("clickhouse_http_port", "odometer-history"),
    ],
)
async def test_one_store_missing_is_a_503_of_what_reads_it(
    missing: str, resource: str, stack: Settings, vehicle: Vehicle, partner: Credentials
) -> None:
    moved = stack.model_copy(update={missing: free_ports(1)[0]})
    async with connect(create_app(moved)) as client:
        token = await client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(partner.partner.client_id, partner.client_secret),
        )
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        answer = await client.get(path(vehicle, resource), headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
