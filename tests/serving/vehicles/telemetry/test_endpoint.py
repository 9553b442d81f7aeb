from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from serving.scopes import Scope
from serving.vehicles.telemetry.schemas import (
    BucketPageMetricRead,
    BucketPageRead,
    TelemetryPageMetricRead,
    TelemetryPageRead,
)
from tests.serving.world import VIN, World, make_record

PATH = f"/api/v1/vehicles/{VIN}/telemetry"
START = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def records(world: World) -> list[dict[str, Any]]:
    world.records.stored = [make_record(time=START + timedelta(minutes=minute)) for minute in range(25)]
    return world.records.stored


async def get(client: httpx.AsyncClient, world: World, **query: Any) -> httpx.Response:
    if "from_" in query:
        query["from"] = query.pop("from_")
    return await client.get(PATH, params=query, headers=world.headers())


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("units", "model"), [("imperial", TelemetryPageRead), ("metric", TelemetryPageMetricRead)]
)
async def test_a_page_is_what_the_documents_say(
    units: str, model: type[TelemetryPageRead], world: World, client: httpx.AsyncClient
) -> None:
    answer = await get(client, world, from_="2026-02-01", to="2026-02-02", units=units)
    page = model.model_validate_json(answer.content)
    assert (len(page.records), page.tiers, page.next) == (25, ["hot"], None)
    assert (page.from_, page.to) == ("2026-02-01T00:00:00.000Z", "2026-02-02T00:00:00.000Z")
    assert "Link" not in answer.headers


async def test_following_next_reads_every_record_once(
    records: list[dict[str, Any]], world: World, client: httpx.AsyncClient
) -> None:
    times, query = [], {"from_": "2026-02-01", "limit": 10}
    sizes = []
    while True:
        body = (await get(client, world, **query)).json()
        times += [record["time"] for record in body["records"]]
        sizes.append(len(body["records"]))
        if body["next"] is None:
            break
        query = {"cursor": body["next"], "limit": 10}
    assert sizes == [10, 10, 5]
    assert len(set(times)) == len(times) == len(records)


@pytest.mark.usefixtures("records")
async def test_the_link_header_leads_to_the_same_next_page(world: World, client: httpx.AsyncClient) -> None:
    first = await get(client, world, from_="2026-02-01", limit=10, units="metric")
    target, _, relation = first.headers["Link"].partition(">; ")
    assert relation == 'rel="next"'
    link = target.removeprefix("<")
    assert parse_qs(urlsplit(link).query)["cursor"] == [first.json()["next"]]
    second = (await client.get(link, headers=world.headers())).json()
    assert (second["records"][0]["time"], second["units"]) == ("2026-02-01T00:10:00.000Z", "metric")


@pytest.mark.usefixtures("records")
async def test_now_stands_still_while_pages_are_turned(world: World, client: httpx.AsyncClient) -> None:
    first = (await get(client, world, from_="2026-02-01", limit=10)).json()
    world.clock.advance(hours=1)
    await get(client, world, cursor=first["next"])
    assert world.records.asked[0] == world.records.asked[1]


@pytest.mark.usefixtures("records")
async def test_a_cursor_takes_its_own_range_and_no_other(world: World, client: httpx.AsyncClient) -> None:
    window = {"from_": "2026-02-01", "to": "2026-02-02"}
    cursor = (await get(client, world, **window, limit=10)).json()["next"]
    assert (await get(client, world, **window, cursor=cursor)).status_code == 200
    for changed in ({"from_": "2026-01-31"}, {"to": "2026-02-03"}):
        answer = await get(client, world, **{**window, **changed}, cursor=cursor)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:piston:problem:cursor-refused")


@pytest.mark.parametrize("cursor", ["x", "", "AAAA", "é", "\0", "=" * 40, "QUJD" * 100])
async def test_a_cursor_that_is_none_is_refused(cursor: str, world: World, client: httpx.AsyncClient) -> None:
    answer = await get(client, world, cursor=cursor)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "#/query/cursor")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({}, "#/query/from"),
        ({"to": "2026-02-01"}, "#/query/from"),
        ({"from_": "2026-02-02", "to": "2026-02-01"}, "#/query/from"),
        ({"from_": "2027-01-01"}, "#/query/from"),
        ({"from_": "2023-01-01", "to": "2025-01-01T00:00:00.001Z"}, "#/query/from"),
        ({"from_": "0000-01-01"}, "#/query/from"),
        ({"from_": "2026-02-01T00:00:00"}, "#/query/from"),
        ({"from_": "2026-02-01", "to": "10000-01-01"}, "#/query/to"),
        ({"from_": "2026-02-01", "limit": 0}, "#/query/limit"),
        ({"from_": "2026-02-01", "limit": 5001}, "#/query/limit"),
        ({"from_": "2026-02-01", "limit": "9" * 400}, "#/query/limit"),
        ({"from_": "2026-02-01", "limit": "ten"}, "#/query/limit"),
        ({"cursor": "A" * 2049}, "#/query/cursor"),
        ({"from_": "2026-02-01", "fields": "speedo"}, "#/query/fields"),
        ({"from_": "2026-02-01", "fields": ""}, "#/query/fields"),
        ({"from_": "2026-02-01", "fields": "event_id", "resolution": "1h"}, "#/query/fields"),
        ({"from_": "2026-02-01", "resolution": "5m"}, "#/query/resolution"),
    ],
)
async def test_a_query_without_sense_is_a_422_that_points_at_it(
    query: dict[str, Any], pointer: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await get(client, world, **query)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert world.records.asked == []


async def test_two_years_are_one_query(world: World, client: httpx.AsyncClient) -> None:
    assert (await get(client, world, from_="2023-01-01", to="2025-01-01")).status_code == 200


@pytest.mark.usefixtures("records")
async def test_fields_are_a_list_and_their_order_does_not_matter(
    world: World, client: httpx.AsyncClient
) -> None:
    for fields in ("odometer,location", ["location", "odometer"]):
        body = (await get(client, world, from_="2026-02-01", limit=1, fields=fields)).json()
        assert set(body["records"][0]) == {"time", "location", "odometer"}
        assert world.records.columns == ("time", "lat", "lng", "hdop", "is_valid", "odometer")


async def test_a_field_without_its_scope_is_withheld(
    records: list[dict[str, Any]], world: World, client: httpx.AsyncClient
) -> None:
    world.grant(Scope.TELEMETRY_READ)
    body = (await get(client, world, from_="2026-02-01", fields="odometer,speed")).json()
    assert body["records"][0] == {"time": "2026-02-01T00:00:00.000Z", "speed_mph": 45.36, "odometer": None}
    assert body["withheld"] == ["records.odometer"]


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(("units", "model"), [("imperial", BucketPageRead), ("metric", BucketPageMetricRead)])
async def test_a_page_of_buckets_is_what_the_documents_say(
    units: str, model: type[BucketPageRead], world: World, client: httpx.AsyncClient
) -> None:
    answer = await get(client, world, from_="2026-02-01", units=units, resolution="1h")
    page = model.model_validate_json(answer.content)
    assert (page.records[0].data_points, page.resolution) == (1, "1h")


@pytest.mark.usefixtures("records")
async def test_a_cursor_keeps_the_whole_query_and_takes_no_other(
    world: World, client: httpx.AsyncClient
) -> None:
    query = {"fields": "speed,rpm", "units": "metric", "resolution": "1m"}
    first = (await get(client, world, from_="2026-02-01", limit=10, **query)).json()
    second = (await get(client, world, cursor=first["next"], limit=10)).json()
    assert set(second["records"][0]) == {
        "time", "data_points", "speed_kph", "speed_kph_max", "rpm", "rpm_max",
    }  # fmt: skip
    assert (second["units"], second["resolution"]) == ("metric", "1m")
    same = query | {"fields": "rpm,speed_kph"}
    assert (await get(client, world, cursor=first["next"], **same)).status_code == 200
    for other in ({"fields": "speed"}, {"units": "imperial"}, {"resolution": "raw"}):
        answer = await get(client, world, cursor=first["next"], **other)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:piston:problem:cursor-refused")


async def test_a_vehicle_without_records_is_an_empty_page(world: World, client: httpx.AsyncClient) -> None:
    body = (await get(client, world, from_="2026-02-01")).json()
    assert (body["records"], body["next"]) == ([], None)
