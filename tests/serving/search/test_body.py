"""The request to Elasticsearch, as a value: where consent stands in it."""

import json
from typing import Any

import orjson
import pytest

from serving.consent.gate import ConsentGate, FleetAccess
from serving.scopes import Scope
from serving.search.body import build_body
from serving.search.wanted import Box, Facet, Near, Sort, Wanted
from tests.serving.world import World

DTC, PRECISE, COARSE, TELEMETRY = (
    Scope.DTC_READ,
    Scope.LOCATION_PRECISE,
    Scope.LOCATION_COARSE,
    Scope.TELEMETRY_READ,
)
NEAR = Near(42.0, -83.0, 1000.0)


async def fleet_of(world: World, **scopes: tuple[Scope, ...]) -> FleetAccess:
    """A partner with every scope; vehicle name → scopes of its owner's consent."""
    world.grants.stored.clear()
    for vin, granted in scopes.items():
        world.grant(*granted, vin=vin)
    return await ConsentGate(world.grants, world.clock).open_fleet(world.scope(*Scope))


def body_of(fleet: FleetAccess, wanted: Wanted, **how: Any) -> Any:
    return json.loads(orjson.dumps(build_body(fleet, wanted, **{"limit": 20, **how})))


def terms(node: Any) -> list[list[str]]:
    """Every list of VINs in a query."""
    if isinstance(node, dict):
        own = [sorted(node["terms"]["vin"])] if "vin" in node.get("terms", {}) else []
        return own + [found for value in node.values() for found in terms(value)]
    return [found for value in node for found in terms(value)] if isinstance(node, list) else []


async def test_the_vehicles_with_consent_are_a_filter_of_the_query(world: World) -> None:
    fleet = await fleet_of(world, A=(TELEMETRY, DTC), B=(TELEMETRY,))
    filters = body_of(fleet, Wanted())["query"]["bool"]["filter"]
    assert sorted(filters[0]["terms"]["vin"]) == ["A", "B"]
    assert filters[1] == {"terms": {"origin": ["live"]}}


async def test_consent_to_being_written_or_commanded_lets_nobody_find_a_vehicle(world: World) -> None:
    fleet = await fleet_of(world, A=(Scope.TELEMETRY_WRITE, Scope.DEVICE_COMMAND))
    assert fleet.groups == ()
    assert body_of(fleet, Wanted())["query"]["bool"]["filter"][0] == {"match_none": {}}


async def test_trouble_codes_are_searched_only_of_vehicles_whose_consent_covers_them(world: World) -> None:
    fleet = await fleet_of(world, A=(TELEMETRY, DTC), B=(TELEMETRY,))
    word = body_of(fleet, Wanted(words=("misfire",)))["query"]["bool"]["must"][0]
    assert terms(word) == [["A"]]
    without = await fleet_of(world, B=(TELEMETRY,))
    assert "dtc" not in json.dumps(body_of(without, Wanted(words=("misfire",))))
    assert terms(body_of(fleet, Wanted(dtc="P0300"))["query"]["bool"]["filter"][2]) == [["A"]]
    facet = body_of(fleet, Wanted(facets=(Facet.DTC,)))["aggs"]["dtc"]
    assert terms(facet) == [["A"]]


@pytest.mark.parametrize("where", [{"near": NEAR}, {"box": Box(1, 2, 3, 4)}])
async def test_places_fit_only_the_position_that_consent_covers(world: World, where: Any) -> None:
    fleet = await fleet_of(world, A=(PRECISE,), B=(COARSE,), C=(TELEMETRY,))
    ways = body_of(fleet, Wanted(**where))["query"]["bool"]["filter"][2]["bool"]["should"]
    assert [terms(way) for way in ways] == [[["A"]], [["B"]]]
    assert '"position"' in json.dumps(ways[0])
    assert '"position"' not in json.dumps(ways[1])
    nobody = await fleet_of(world, C=(TELEMETRY,))
    assert body_of(nobody, Wanted(**where))["query"]["bool"]["filter"][2] == {"match_none": {}}


async def test_one_coarse_consent_makes_the_order_coarse(world: World) -> None:
    wanted = Wanted(near=NEAR, sort=Sort.DISTANCE)
    mixed = await fleet_of(world, A=(PRECISE,), B=(COARSE,))
    assert "position_coarse" in body_of(mixed, wanted)["sort"][0]["_geo_distance"]
    precise = await fleet_of(world, A=(PRECISE,), C=(TELEMETRY,))
    assert "position" in body_of(precise, wanted)["sort"][0]["_geo_distance"]


async def test_every_order_ends_with_the_vin_so_that_pages_neither_skip_nor_repeat(world: World) -> None:
    fleet = await fleet_of(world, A=(PRECISE,))
    for wanted in (Wanted(), Wanted(near=NEAR, sort=Sort.DISTANCE)):
        body = body_of(fleet, wanted, limit=7, after=[1.5, "A"])
        assert body["sort"][-1] == {"vin": {"order": "asc"}}
        assert body["search_after"] == [1.5, "A"]
        assert body["size"] == 8


async def test_no_score_depends_on_how_often_others_have_a_word(world: World) -> None:
    fleet = await fleet_of(world, A=(TELEMETRY, DTC))
    body = body_of(fleet, Wanted(words=("honda", "p0300", "2019", "1hgcm82633a123456")))
    for word in body["query"]["bool"]["must"]:
        assert all(set(way) == {"constant_score"} for way in word["dis_max"]["queries"])
