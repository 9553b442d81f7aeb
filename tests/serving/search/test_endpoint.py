"""GET /api/v1/search on readers in memory; what is found is tested on the real server."""

from typing import Any

import httpx
import pytest

from serving.scopes import Scope
from telematics.names import Origin
from tests.serving.finding import make_document
from tests.serving.world import OTHER_VIN, VIN, World

SEARCH = "/api/v1/search"


@pytest.fixture(autouse=True)
def stored(world: World) -> None:
    world.vehicles.stored = [make_document(VIN), make_document(OTHER_VIN)]


async def ask(client: httpx.AsyncClient, world: World, *scopes: Scope, **query: Any) -> httpx.Response:
    """As the partner, with a token of these scopes (all, unless named)."""
    headers = world.headers(scope=" ".join(scopes)) if scopes else world.headers()
    return await client.get(SEARCH, params=query, headers=headers)


async def test_without_a_token_nothing_is_found(client: httpx.AsyncClient) -> None:
    assert (await client.get(SEARCH)).status_code == 401


async def test_only_vehicles_with_consent_are_found(client: httpx.AsyncClient, world: World) -> None:
    body = (await ask(client, world, q="honda")).json()
    assert [each["vin"] for each in body["results"]] == [VIN]
    assert (body["total"], body["total_is_exact"], body["next"]) == (1, True, None)


async def test_a_result_shows_all_that_consent_covers(client: httpx.AsyncClient, world: World) -> None:
    (found,) = (await ask(client, world, near="42.28,-83.74")).json()["results"]
    assert found == {
        "vin": VIN, "origin": "live", "make": "Honda", "model": "Accord", "year": 2019,
        "odometer": 61234.5, "odometer_at": "2025-12-06T05:30:00.000Z", "health_score": 87,
        "dtc": [
            {"code": "P0300", "meaning": "Misfire detected, random or multiple cylinders"},
            {"code": "P1234", "meaning": None},
        ],
        "location": {"lat": 42.277123, "lng": -83.738456, "accuracy_m": 4.5},
        "location_precision": "precise", "location_at": "2025-12-06T05:46:40.000Z",
        "last_seen": "2025-12-06T05:46:40.500Z", "distance_mi": 0.214, "pending": [], "withheld": [],
    }  # fmt: skip


async def test_metric_units_rename_what_they_change(client: httpx.AsyncClient, world: World) -> None:
    (found,) = (await ask(client, world, near="42.28,-83.74", units="metric")).json()["results"]
    assert (found["odometer_km"], found["distance_km"]) == (98547.375, 0.344)
    assert "odometer" not in found


async def test_what_consent_does_not_cover_is_withheld(client: httpx.AsyncClient, world: World) -> None:
    world.grant(Scope.ODOMETER_READ)
    (found,) = (await ask(client, world)).json()["results"]
    assert found["odometer"] == 61234.5
    withheld = {"location", "location_at", "dtc", "health_score", "last_seen"}
    assert set(found["withheld"]) == withheld
    assert all(found[name] is None for name in withheld)
    assert found["location_precision"] is None


async def test_a_coarse_position_is_rounded_and_so_is_its_distance(
    client: httpx.AsyncClient, world: World
) -> None:
    world.grant(Scope.LOCATION_COARSE)
    (found,) = (await ask(client, world, near="42.28,-83.74")).json()["results"]
    assert found["location"] == {"lat": 42.28, "lng": -83.74, "accuracy_m": 794.5}
    assert found["distance_mi"] == 0.0
    assert found["location_precision"] == "coarse"


@pytest.mark.parametrize(
    ("query", "scope"),
    [
        ({"near": "42,-83"}, "location:coarse"),
        ({"box": "1,2,3,4"}, "location:coarse"),
        ({"dtc": "P0300"}, "dtc:read"),
        ({"facets": "dtc"}, "dtc:read"),
    ],
)
async def test_what_the_token_does_not_cover_cannot_be_searched_by(
    client: httpx.AsyncClient, world: World, query: dict[str, str], scope: str
) -> None:
    answer = await ask(client, world, Scope.TELEMETRY_READ, **query)
    assert answer.status_code == 403
    assert scope in answer.headers["WWW-Authenticate"]
    assert world.vehicles.asked == []


async def test_a_token_that_reads_nothing_finds_nothing(client: httpx.AsyncClient, world: World) -> None:
    assert (await ask(client, world, Scope.TELEMETRY_WRITE)).status_code == 403


async def test_simulated_and_recorded_vehicles_are_found_only_when_asked_for(
    client: httpx.AsyncClient, world: World
) -> None:
    await ask(client, world)
    await ask(client, world, origin=["recorded", "live", "live"])
    assert [wanted.origins for wanted in world.vehicles.asked] == [
        (Origin.LIVE,),
        (Origin.LIVE, Origin.RECORDED),
    ]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"q": "…"}, "#/query/q"),
        ({"q": "a b c d e f g h i"}, "#/query/q"),
        ({"q": "x" * 101}, "#/query/q"),
        ({"near": "91,0"}, "#/query/near"),
        ({"near": "0,181"}, "#/query/near"),
        ({"near": "here"}, "#/query/near"),
        ({"near": "nan,nan"}, "#/query/near"),
        ({"sort": "distance"}, "#/query/near"),
        ({"radius_mi": "5"}, "#/query/near"),
        ({"near": "1,1", "radius_mi": "inf"}, "#/query/radius_mi"),
        ({"near": "1,1", "radius_mi": "0"}, "#/query/radius_mi"),
        ({"box": "3,0,1,0"}, "#/query/box"),
        ({"box": "0,-181,1,0"}, "#/query/box"),
        ({"year_from": "2020", "year_to": "2010"}, "#/query/year_to"),
        ({"dtc": "P9999"}, "#/query/dtc"),
        ({"origin": "stolen"}, "#/query/origin/0"),
        ({"facets": "vin"}, "#/query/facets/0"),
        ({"limit": "101"}, "#/query/limit"),
        ({"vin": VIN}, "#/query/vin"),
    ],
)
async def test_what_makes_no_sense_is_told_by_parameter(
    client: httpx.AsyncClient, world: World, query: dict[str, str], pointer: str
) -> None:
    answer = await ask(client, world, **query)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert world.vehicles.asked == []


async def test_pages_follow_each_other_by_cursor_and_link(client: httpx.AsyncClient, world: World) -> None:
    world.grant(vin=OTHER_VIN)
    first = await ask(client, world, q="honda", limit=1)
    assert [each["vin"] for each in first.json()["results"]] == [VIN]
    link = first.headers["Link"].removeprefix("<").split(">")[0]
    second = (await client.get(link, headers=world.headers())).json()
    assert [each["vin"] for each in second["results"]] == [OTHER_VIN]
    assert second["next"] is None


async def test_a_cursor_belongs_to_its_query_and_its_partner(client: httpx.AsyncClient, world: World) -> None:
    world.grant(vin=OTHER_VIN)
    cursor = (await ask(client, world, q="honda", limit=1)).json()["next"]
    assert (await ask(client, world, q="honda", limit=5, cursor=cursor)).status_code == 200
    for changed in ({"q": "toyota", "cursor": cursor}, {"q": "honda", "cursor": cursor[:-2] + "AA"}):
        answer = await ask(client, world, **changed)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:piston:problem:cursor-refused")


async def test_consent_that_ends_between_index_and_answer_ends_the_result(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = world.vehicles.find

    async def find_then_revoke(*how: Any) -> Any:
        found = await find(*how)
        world.grants.stored.clear()
        return found

    monkeypatch.setattr(world.vehicles, "find", find_then_revoke)
    assert (await ask(client, world)).json()["results"] == []


async def test_an_index_that_does_not_answer_is_a_503(client: httpx.AsyncClient, world: World) -> None:
    headers = world.headers()
    await client.get(SEARCH, headers=headers)
    world.outage.is_on = True
    answer = await client.get(SEARCH, headers=headers)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
