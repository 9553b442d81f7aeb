"""Records of many vehicles in one request, on readers in memory."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from serving.scopes import Scope
from serving.vehicles.bulk.schemas import BulkPageRead
from tests.serving.world import OTHER_VIN, VIN, World, make_record

PATH = "/api/v1/vehicles/bulk/telemetry"
FOREIGN = "WVWZZZ1JZXW000001"
UNKNOWN = "WVWZZZ1JZXW000002"
START = datetime(2026, 2, 28, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def records(world: World) -> None:
    """Three records of the last day for each vehicle, and one from before."""
    moments = [START - timedelta(minutes=1), *(START + timedelta(hours=hour) for hour in range(3))]
    world.records.stored = [make_record(time=moment) for moment in moments]
    world.grant(vin=OTHER_VIN)
    world.grants.stored["pc_" + "z" * 20, FOREIGN] = frozenset(Scope)


async def post(client: httpx.AsyncClient, world: World, **body: Any) -> httpx.Response:
    if "from_" in body:
        body["from"] = body.pop("from_")
    return await client.post(PATH, json=body, headers=world.headers())


async def test_vehicles_and_fields_are_enough(world: World, client: httpx.AsyncClient) -> None:
    answer = await post(client, world, vins=[OTHER_VIN, VIN], fields=["location", "odometer"])
    page = BulkPageRead.model_validate_json(answer.content)
    assert [(part.vin, len(part.records), part.tiers) for part in page.vehicles] == [
        (VIN, 3, ["hot"]),
        (OTHER_VIN, 3, ["hot"]),
    ]
    record = answer.json()["vehicles"][0]["records"][0]
    assert set(record) == {"time", "location", "odometer"}
    assert (page.from_, page.to) == ("2026-02-28T12:00:00.000Z", "2026-03-01T12:00:00.000Z")
    assert answer.headers["Cache-Control"] == "private, no-store"


async def test_unknown_and_not_granted_are_listed_alike_and_cost_nobody_anything(
    world: World, client: httpx.AsyncClient
) -> None:
    body = (await post(client, world, vins=[FOREIGN, UNKNOWN, VIN, VIN])).json()
    assert body["not_found"] == [FOREIGN, UNKNOWN]
    assert [part["vin"] for part in body["vehicles"]] == [VIN]
    nobody = (await post(client, world, vins=[FOREIGN, UNKNOWN])).json()
    assert (nobody["vehicles"], nobody["next"]) == ([], None)


async def test_each_vehicle_is_told_as_its_own_consent_covers_it(
    world: World, client: httpx.AsyncClient
) -> None:
    world.grant(Scope.TELEMETRY_READ, Scope.LOCATION_COARSE, vin=OTHER_VIN)
    world.grant(Scope.DTC_READ, vin=FOREIGN)
    body = (await post(client, world, vins=[VIN, OTHER_VIN, FOREIGN], fields=["location", "odometer"])).json()
    one, other = body["vehicles"]
    assert (one["withheld"], one["location_precision"]) == ([], "precise")
    assert (other["withheld"], other["location_precision"]) == (["records.odometer"], "coarse")
    assert other["records"][0]["location"] == {"lat": 42.28, "lng": -83.74, "accuracy_m": 794.0}
    assert (body["not_found"], body["not_covered"]) == ([], [FOREIGN])


async def test_a_vehicle_says_which_tiers_must_be_restored_first(
    world: World, client: httpx.AsyncClient
) -> None:
    world.records.pending_days = (date(2026, 2, 28),)
    body = (await post(client, world, vins=[VIN])).json()
    assert body["vehicles"][0]["pending_tiers"] == ["archive"]


async def test_consents_are_looked_up_once(
    world: World, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one_by_one(*_: object) -> None:
        pytest.fail("a look-up for each vehicle")

    monkeypatch.setattr(world.grants, "open_scopes", one_by_one)
    assert (await post(client, world, vins=[VIN, OTHER_VIN])).status_code == 200


async def test_pages_go_on_with_the_same_body_and_the_cursor(world: World, client: httpx.AsyncClient) -> None:
    query: dict[str, Any] = {"vins": [VIN, OTHER_VIN], "fields": ["speed"], "limit": 2}
    seen = []
    while True:
        body = (await post(client, world, **query)).json()
        seen += [(part["vin"], row["time"]) for part in body["vehicles"] for row in part["records"]]
        world.clock.advance(minutes=1)
        if body["next"] is None:
            break
        query["cursor"] = body["next"]
    assert len(set(seen)) == len(seen) == 6
    for other in ({"vins": [VIN]}, {"fields": ["rpm"]}, {"resolution": "1h"}):
        answer = await post(client, world, **(query | other))
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "#/body/cursor")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"vins": [VIN, "1HGCM82633A12345O"]}, "#/body/vins/1"),
        ({"vins": []}, "#/body/vins"),
        ({"vins": [VIN] * 1001}, "#/body/vins"),
        ({"vins": VIN}, "#/body/vins"),
        ({"fields": ["location", "speedo"]}, "#/body/fields"),
        ({"fields": []}, "#/body/fields"),
        ({"from_": "2026-03-02"}, "#/body/from"),
        ({"from_": "2023-01-01", "to": "2025-01-01T00:00:01Z"}, "#/body/from"),
        ({"from_": "2026-02-01T00:00:00"}, "#/body/from"),
        ({"limit": "10"}, "#/body/limit"),
        ({"limit": 0}, "#/body/limit"),
        ({"resolution": "1w"}, "#/body/resolution"),
        ({"vin": VIN}, "#/body/vin"),
    ],
)
async def test_a_body_without_sense_is_a_422_that_points_at_it(
    changes: dict[str, Any], pointer: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await post(client, world, **({"vins": [VIN]} | changes))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert world.records.asked == []


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"[]", "application/json", 422),
        (b"", "application/json", 422),
        (b'{"vins":["1HGCM82633A123456"],"vins":[]}', "application/json", 422),
        (b"\xff", "application/json", 422),
        (b" " * 70_000, "application/json", 413),
        (b"{}", "text/plain", 415),
    ],
)
async def test_bodies_are_bounded_and_strict(
    content: bytes, content_type: str, status: int, world: World, client: httpx.AsyncClient
) -> None:
    headers = world.headers() | {"Content-Type": content_type}
    answer = await client.post(PATH, content=content, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


async def test_who_asks_is_settled_before_what_is_asked(world: World, client: httpx.AsyncClient) -> None:
    assert (await client.post(PATH, content=b"nonsense")).status_code == 401
    answer = await client.post(PATH, json={"vins": [VIN]}, headers=world.headers(scope="dtc:read"))
    assert answer.status_code == 403
    assert 'scope="telemetry:read"' in answer.headers["WWW-Authenticate"]


async def test_an_outage_is_a_503(world: World, client: httpx.AsyncClient) -> None:
    headers = world.headers()
    world.outage.is_on = True
    answer = await client.post(PATH, json={"vins": [VIN]}, headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
