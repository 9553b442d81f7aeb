"""Searches on the real index, through the application, with real partners and consents."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from serving.app import create_app
from serving.consent.service import ConsentService
from serving.partners.service import PartnerService
from serving.scopes import PartnerKind, Scope
from telematics.dtc import maybe_meaning
from telematics.settings import Settings
from tests.serving.planting import Operate, timescale
from tests.serving.world import connect
from warehouse.search.index import connected, current_index, write

pytestmark = pytest.mark.integration

ANN_ARBOR = (42.2808, -83.7430)
YPSILANTI = (42.2411, -83.6130)  # 12.7 km from there
DETROIT = (42.3314, -83.0458)
READING = tuple(scope for scope in Scope if scope not in (Scope.TELEMETRY_WRITE, Scope.DEVICE_COMMAND))

Partner = Callable[..., Awaitable[httpx.AsyncClient]]
Car = Callable[..., str]


@pytest.fixture
def car(search_stack: Settings) -> Car:
    """A registered vehicle with a document in the index."""

    def make(at: tuple[float, float] | None = None, codes: list[str] | None = None, **changes: Any) -> str:
        vin = f"SF{uuid.uuid4().hex[:15].upper()}"
        known = {"vin": vin, "origin": "live", "make": "Zastava", "model": "Koral", "year": 1989, **changes}
        if at is not None:
            known["position"] = {"lat": at[0], "lon": at[1]}
            known["position_coarse"] = {"lat": round(at[0], 2), "lon": round(at[1], 2)}
        if codes is not None:
            known["dtc_codes"] = codes
            known["dtc_meanings"] = [text for code in codes if (text := maybe_meaning(code))]
        with timescale(search_stack) as connection:
            connection.execute("insert into vehicles (vin) values (%s)", [vin])
        with connected(search_stack) as client:
            write(client, str(current_index(client)), [(0, known)])
            client.indices.refresh(index="vehicles")
        return vin

    return make


@pytest.fixture
async def app(search_stack: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(create_app(search_stack)) as client:
        yield client


@pytest.fixture
def partner(app: httpx.AsyncClient, operate: Operate) -> Callable[..., Awaitable[dict[str, str]]]:
    """A partner of its own: VIN → scopes of the owner's consent; returns its headers."""

    async def make(
        consents: dict[str, tuple[Scope, ...]], token: tuple[Scope, ...] = READING
    ) -> dict[str, str]:
        made = await operate(
            lambda connection: PartnerService(connection, actor="test").create(
                f"Finder {uuid.uuid4().hex}", PartnerKind.DEALER, scopes=list(READING)
            )
        )
        client_id = made.partner.client_id
        for vin, scopes in consents.items():
            await operate(
                lambda connection, vin=vin, scopes=scopes: ConsentService(connection, actor="test").grant(
                    client_id, [vin], scopes=list(scopes), purpose="test"
                )
            )
        answer = await app.post(
            "/oauth/token",
            data={"grant_type": "client_credentials", "scope": " ".join(token)},
            auth=(client_id, made.client_secret),
        )
        return {"Authorization": f"Bearer {answer.json()['access_token']}", "X-Client": client_id}

    return make


async def find(app: httpx.AsyncClient, who: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = await app.get("/api/v1/search", params=query, headers={"Authorization": who["Authorization"]})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def vins(app: httpx.AsyncClient, who: dict[str, str], **query: Any) -> list[str]:
    return [each["vin"] for each in (await find(app, who, **query))["results"]]


async def test_words_find_by_vin_make_model_year_code_and_meaning(app, car, partner):
    honda = car(make="Honda", model="Accord", year=2019, codes=["P0300"])
    ford = car(make="Ford", model="F-150", year=2021, codes=[])
    benz = car(make="Mercedes-Benz", model="C-Class", year=2005)
    who = await partner(dict.fromkeys([honda, ford, benz], READING))
    for words, expected in {
        honda: [honda],
        honda.lower()[:9]: [honda],
        "honda": [honda],
        "HON": [honda],
        "hnda": [honda],  # a letter left out
        "hondaa accrod": [honda],  # one too many, two swapped
        "accord 2019": [honda],
        "accord 2021": [],
        "p0300": [honda],
        "p03": [honda],
        "misfire": [honda],
        "misfre cylinder": [honda],
        "f-150": [ford],
        "ford 2021 f-150": [ford],
        "mercedes": [benz],
        "benz c-class": [benz],
        "mercedes-benz": [benz],
        "zebra": [],
    }.items():
        assert await vins(app, who, q=words) == expected, words


async def test_a_vin_with_a_typing_error_is_found(app, car, partner):
    vin = car()
    who = await partner({vin: READING})
    wrong = vin[:8] + ("7" if vin[8] != "7" else "8") + vin[9:]
    assert await vins(app, who, q=wrong) == [vin]


async def test_the_better_fit_comes_first(app, car, partner):
    resembling = car(make="Hondo", model="Road")
    beginning = car(make="Hondalike", model="Road")
    exact = car(make="Honda", model="Civic")
    who = await partner(dict.fromkeys([resembling, beginning, exact], READING))
    assert await vins(app, who, q="honda") == [exact, beginning, resembling]


async def test_filters_and_facets_count_what_was_found(app, car, partner):
    cars = [car(make="Honda", year=2019, codes=["P0300"]), car(make="Honda", year=2020), car(make="Ford")]
    who = await partner(dict.fromkeys(cars, READING))
    body = await find(app, who, make="honda", facets=["make", "year", "dtc"])
    assert body["total"] == 2
    assert body["facets"] == {
        "make": [{"value": "Honda", "count": 2}],
        "year": [{"value": 2019, "count": 1}, {"value": 2020, "count": 1}],
        "dtc": [{"value": "P0300", "count": 1}],
    }
    assert await vins(app, who, dtc="P0300") == [cars[0]]
    assert await vins(app, who, year_from=2020, year_to=2021) == [cars[1]]


async def test_places_are_found_in_circle_and_box_and_ordered_by_distance(app, car, partner):
    near, middle, far, nowhere = car(ANN_ARBOR), car(YPSILANTI), car(DETROIT), car()
    who = await partner(dict.fromkeys([far, near, middle, nowhere], READING))
    centre = "42.2808,-83.7430"
    body = await find(app, who, near=centre, radius_mi=10, sort="distance")
    assert [each["vin"] for each in body["results"]] == [near, middle]
    assert [each["distance_mi"] for each in body["results"]] == [0.0, pytest.approx(7.2, abs=0.2)]
    assert await vins(app, who, near=centre, radius_mi=100, sort="distance") == [near, middle, far]
    assert set(await vins(app, who, box="42.2,-83.8,42.3,-83.5")) == {near, middle}


async def test_a_box_crosses_the_180th_meridian(app, car, partner):
    fiji, samoa = car((-17.8, 178.0)), car((-13.8, -172.0))
    who = await partner(dict.fromkeys([fiji, samoa], READING))
    assert set(await vins(app, who, box="-20,177,-10,-170")) == {fiji, samoa}
    assert await vins(app, who, box="-20,177,-10,180") == [fiji]


async def test_pages_give_every_vehicle_once(app, car, partner):
    cars = {car(ANN_ARBOR) for _ in range(7)}
    who = await partner(dict.fromkeys(cars, READING))
    for query in ({"q": "zastava"}, {"near": "42.28,-83.74", "sort": "distance"}):
        found, cursor = [], None
        while True:
            page = await find(app, who, limit=3, **query, **({"cursor": cursor} if cursor else {}))
            found += [each["vin"] for each in page["results"]]
            if (cursor := page["next"]) is None:
                break
        assert len(found) == len(cars)
        assert set(found) == cars


async def test_a_partner_never_finds_counts_or_facets_a_vehicle_of_another(app, car, partner):
    mine, theirs = car(ANN_ARBOR, make="Yugo"), car(ANN_ARBOR, make="Yugo", codes=["P0300"])
    who = await partner({mine: READING})
    await partner({theirs: READING})
    for query in ({"q": "yugo"}, {"q": theirs}, {"near": "42.28,-83.74"}, {"make": "yugo"}, {"dtc": "P0300"}):
        body = await find(app, who, facets=["make", "dtc"], **query)
        assert theirs not in str(body)
        assert body["total"] == len(body["results"])
        assert all(count["count"] <= 1 for counts in body["facets"].values() for count in counts)
    assert await vins(app, who, q=theirs) == []


async def test_withdrawn_consent_ends_with_the_next_search(app, car, partner, operate):
    vin = car()
    who = await partner({vin: READING})
    assert await vins(app, who) == [vin]
    await operate(lambda connection: ConsentService(connection, actor="test").revoke(who["X-Client"], [vin]))
    body = await find(app, who, facets="make")
    assert (body["results"], body["total"], body["facets"]) == ([], 0, {"make": []})


async def test_without_consent_to_trouble_codes_nothing_tells_of_them(app, car, partner):
    vin = car(codes=["P0300"], make="Honda")
    who = await partner({vin: (Scope.TELEMETRY_READ,)})
    assert await vins(app, who, q="honda") == [vin]
    for query in ({"q": "misfire"}, {"q": "p0300"}, {"dtc": "P0300"}):
        assert await vins(app, who, **query) == []
    body = await find(app, who, facets="dtc")
    assert body["facets"] == {"dtc": []}
    assert "P0300" not in str(body)


async def test_without_consent_to_places_nothing_tells_of_them(app, car, partner):
    vin = car(ANN_ARBOR)
    who = await partner({vin: (Scope.TELEMETRY_READ, Scope.DTC_READ)})
    for query in (
        {"near": "42.2808,-83.7430", "radius_mi": 12_000},
        {"near": "42.2808,-83.7430", "sort": "distance"},
        {"box": "-90,-180,90,180"},
    ):
        assert (await find(app, who, **query))["total"] == 0
    (found,) = (await find(app, who))["results"]
    assert found["location"] is None
    assert "location" in found["withheld"]


async def test_a_coarse_consent_cannot_be_narrowed_down_by_circles(app, car, partner):
    """The vehicle is 300 m from its rounded position; circles fit the latter only."""
    vin = car((42.2827, -83.7430))
    who = await partner({vin: (Scope.LOCATION_COARSE,)})
    assert await vins(app, who, near="42.2827,-83.7430", radius_mi=0.1) == []
    assert await vins(app, who, near="42.28,-83.74", radius_mi=0.01) == [vin]
    (found,) = (await find(app, who, near="42.28,-83.74", sort="distance"))["results"]
    assert found["location"] == {"lat": 42.28, "lng": -83.74, "accuracy_m": None}
    assert found["distance_mi"] == 0.0


async def test_consents_of_two_kinds_are_searched_each_by_its_own(app, car, partner):
    precise, coarse, none = car((42.2827, -83.7430)), car((42.2827, -83.7430)), car((42.2827, -83.7430))
    who = await partner(
        {
            precise: (Scope.LOCATION_PRECISE,),
            coarse: (Scope.LOCATION_COARSE,),
            none: (Scope.ODOMETER_READ,),
        }
    )
    assert await vins(app, who, near="42.2827,-83.7430", radius_mi=0.1) == [precise]
    assert set(await vins(app, who, near="42.28,-83.74", radius_mi=1)) == {precise, coarse}
    assert set(await vins(app, who)) == {precise, coarse, none}


async def test_simulated_vehicles_are_not_mixed_in_unasked(app, car, partner):
    real, made_up = car(), car(origin="simulated")
    who = await partner(dict.fromkeys([real, made_up], READING))
    assert await vins(app, who) == [real]
    assert set(await vins(app, who, origin=["live", "simulated"])) == {real, made_up}


async def test_without_a_search_server_searches_are_503_and_the_rest_serves(search_stack, car, partner, app):
    vin = car()
    who = await partner({vin: READING})
    nobody = search_stack.model_copy(update={"search_url": "http://127.0.0.1:1"})
    async with connect(create_app(nobody)) as without:
        headers = {"Authorization": who["Authorization"]}
        answer = await without.get("/api/v1/search", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:piston:problem:store-unavailable")
        live = await without.get(f"/api/v1/vehicles/{vin}/live-status", headers=headers)
        assert live.status_code == 200
        assert (await without.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    "words",
    [
        "*",
        "vin:*",
        '"',
        "\\",
        "a" * 100,
        "(((",
        "ΩΩΩ",
        "💥boom",
        "p0300 OR 1=1",
        "0",
        "a" * 17,
        "....a",
        "a\0b",
    ],
)
async def test_no_words_break_the_search(app, car, partner, words):
    who = await partner({car(): READING})
    answer = await app.get(
        "/api/v1/search", params={"q": words}, headers={"Authorization": who["Authorization"]}
    )
    assert answer.status_code in (200, 422)
