"""The request to Elasticsearch, as a value: where consent stands in it."""

import json
from typing import Any

import orjson
import pytest

from serving.consent.gate import ConsentGate, FleetAccess
from serving.scopes import Scope
from serving.search.body import build_body
from serving.search.wanted import Box, Facet, Near, Sort, Wanted
from tests.serving.world import CLIENT_ID, World

DTC, PRECISE, COARSE, TELEMETRY = (
    Scope.DTC_READ,
    Scope.LOCATION_PRECISE,
    Scope.LOCATION_COARSE,
    Scope.TELEMETRY_READ,
)
NEAR = Near(42.0, -83.0, 1000.0)


async def fleet_of(
    world: World, *token: Scope, changed: dict[str, tuple[Scope, ...]] | None = None
) -> FleetAccess:
    """A partner's token, and consents that changed since the index was built: VIN → scopes now."""
    world.grants.stored.clear()
    for vin, scopes in (changed or {}).items():
        world.grants.stored[CLIENT_ID, vin] = frozenset(scopes)
    gate = ConsentGate(world.grants, world.clock)
    return await gate.open_fleet(world.scope(*(token or Scope)), world.clock(), 0)


def body_of(fleet: FleetAccess, wanted: Wanted, **how: Any) -> Any:
    return json.loads(orjson.dumps(build_body(fleet, wanted, **{"limit": 20, **how})))


def consents(*scopes: Scope) -> Any:
    return {"terms": {"consents": [f"{CLIENT_ID} {scope}" for scope in sorted(scopes)]}}


async def test_consent_in_the_document_is_a_filter_of_the_query(world: World) -> None:
    filters = body_of(await fleet_of(world, TELEMETRY, DTC), Wanted())["query"]["bool"]["filter"]
    assert filters == [consents(TELEMETRY, DTC), {"terms": {"origin": ["live"]}}]


async def test_consent_that_changed_since_outranks_the_document(world: World) -> None:
    fleet = await fleet_of(world, TELEMETRY, DTC, changed={"A": (TELEMETRY,), "B": ()})
    assert body_of(fleet, Wanted())["query"]["bool"]["filter"][0]["bool"]["should"] == [
        {
            "bool": {
                "filter": [consents(TELEMETRY, DTC)],
                "must_not": [{"terms": {"vin": ["A", "B"]}}],
            }
        },
        {"terms": {"vin": ["A"]}},
    ]
    codes = body_of(fleet, Wanted(dtc="P0300"))["query"]["bool"]["filter"][2]["bool"]["filter"][0]
    assert codes["bool"]["should"][1] == {"terms": {"vin": []}}


async def test_consent_to_being_written_or_commanded_lets_nobody_find_a_vehicle(world: World) -> None:
    body = json.dumps(body_of(await fleet_of(world), Wanted()))
    assert "telemetry:write" not in body
    assert "device:command" not in body


async def test_trouble_codes_are_searched_only_of_vehicles_whose_consent_covers_them(world: World) -> None:
    fleet = await fleet_of(world, TELEMETRY, DTC)
    word = body_of(fleet, Wanted(words=("misfire",)))["query"]["bool"]["must"][0]["dis_max"]["queries"]
    about_codes = [way for way in word if "dtc" in json.dumps(way)]
    assert [way["bool"]["filter"] for way in about_codes] == [[consents(DTC)]]
    assert body_of(fleet, Wanted(dtc="P0300"))["query"]["bool"]["filter"][2]["bool"]["filter"][0] == consents(
        DTC
    )
    assert body_of(fleet, Wanted(facets=(Facet.DTC,)))["aggs"]["dtc"]["filter"] == consents(DTC)
    without = await fleet_of(world, TELEMETRY)
    assert "dtc" not in json.dumps(body_of(without, Wanted(words=("misfire",))))


@pytest.mark.parametrize("where", [{"near": NEAR}, {"box": Box(1, 2, 3, 4)}])
async def test_places_fit_only_the_position_that_consent_covers(world: World, where: Any) -> None:
    fleet = await fleet_of(world, PRECISE, COARSE)
    precise, coarse = body_of(fleet, Wanted(**where))["query"]["bool"]["filter"][2]["bool"]["should"]
    assert precise["bool"]["filter"][0] == consents(PRECISE)
    assert '"position"' in json.dumps(precise)
    assert coarse["bool"]["filter"][0]["bool"] == {
        "filter": [consents(COARSE)],
        "must_not": [consents(PRECISE)],
    }
    assert '"position"' not in json.dumps(coarse)
    nobody = await fleet_of(world, TELEMETRY)
    assert body_of(nobody, Wanted(**where))["query"]["bool"]["filter"][2] == {"match_none": {}}


async def test_a_token_that_may_be_about_coarse_consents_orders_coarsely(world: World) -> None:
    wanted = Wanted(near=NEAR, sort=Sort.DISTANCE)
    mixed = body_of(await fleet_of(world, PRECISE, COARSE), wanted)
    assert "position_coarse" in mixed["sort"][0]["_geo_distance"]
    precise = body_of(await fleet_of(world, PRECISE, TELEMETRY), wanted)
    assert "position" in precise["sort"][0]["_geo_distance"]


async def test_who_else_may_read_a_vehicle_leaves_the_index_with_no_answer(world: World) -> None:
    assert body_of(await fleet_of(world), Wanted())["_source"] == {"excludes": ["consents"]}


async def test_every_order_ends_with_the_vin_so_that_pages_neither_skip_nor_repeat(world: World) -> None:
    fleet = await fleet_of(world, PRECISE)
    for wanted in (Wanted(), Wanted(near=NEAR, sort=Sort.DISTANCE)):
        body = body_of(fleet, wanted, limit=7, after=[1.5, "A"])
        assert body["sort"][-1] == {"vin": {"order": "asc"}}
        assert body["search_after"] == [1.5, "A"]
        assert body["size"] == 8


async def test_no_score_depends_on_how_often_others_have_a_word(world: World) -> None:
    fleet = await fleet_of(world, TELEMETRY, DTC)
    body = body_of(fleet, Wanted(words=("honda", "p0300", "2019", "1hgcm82633a123456")))
    for word in body["query"]["bool"]["must"]:
        ways = word["dis_max"]["queries"]
        ways += [one for way in ways if "bool" in way for one in way["bool"]["must"][0]["dis_max"]["queries"]]
        assert all("constant_score" in way for way in ways if "bool" not in way)
