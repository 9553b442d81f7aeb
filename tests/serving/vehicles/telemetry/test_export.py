"""Exports: whole or told to be cut, allowed to the end, and never more than a page in memory."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from serving.scopes import Scope
from serving.vehicles.telemetry import export, service
from serving.vehicles.telemetry.export import ExportPage, export_lines, wants_export
from tests.serving.world import CLIENT_ID, OTHER_VIN, VIN, World, make_record

PATH = f"/api/v1/vehicles/{VIN}/telemetry"
BULK = "/api/v1/vehicles/bulk/telemetry"
START = datetime(2026, 2, 1, tzinfo=UTC)
COUNT = 25


@pytest.fixture(autouse=True)
def small_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PAGE_RECORDS", 10)
    world.records.stored = [make_record(time=START + timedelta(minutes=minute)) for minute in range(COUNT)]


async def get(client: httpx.AsyncClient, world: World, **query: Any) -> httpx.Response:
    headers = world.headers() | {"Accept": export.MEDIA_TYPE}
    return await client.get(PATH, params={"from": "2026-02-01"} | query, headers=headers)


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.content.endswith(b"\n")
    return [orjson.loads(line) for line in answer.content.splitlines()]


async def test_a_whole_export_says_so_in_its_last_line(world: World, client: httpx.AsyncClient) -> None:
    world.records.pending_days = (date(2026, 2, 1),)
    answer = await get(client, world, fields="odometer", to="2026-02-02")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Cache-Control"] == "private, no-store"
    *told, last = lines(answer)
    records = [line for line in told if "time" in line]
    assert len({record["time"] for record in records}) == COUNT
    assert set(records[0]) == {"time", "odometer"}
    assert [set(line) for line in told if "time" not in line] == [{"next"}] * 2
    assert last == {
        "end": True, "records": COUNT, "vin": VIN, "from": "2026-02-01T00:00:00.000Z",
        "to": "2026-02-02T00:00:00.000Z", "units": "imperial", "resolution": "raw",
        "location_precision": "precise", "withheld": [], "tiers": ["hot"], "pending_tiers": ["archive"],
        "next": None,
    }  # fmt: skip


async def test_a_cut_export_goes_on_from_its_last_cursor(world: World, client: httpx.AsyncClient) -> None:
    whole = lines(await get(client, world))
    at = next(place for place, line in enumerate(whole) if "next" in line)
    headers = world.headers() | {"Accept": export.MEDIA_TYPE}
    rest = await client.get(PATH, params={"cursor": whole[at]["next"]}, headers=headers)
    assert [line for line in lines(rest) if "time" in line] == [line for line in whole[at:] if "time" in line]


async def test_ten_years_are_one_export_and_more_are_refused(world: World, client: httpx.AsyncClient) -> None:
    assert (await get(client, world, **{"from": "2016-03-01"})).status_code == 200
    assert (await get(client, world, **{"from": "2015-12-01"})).status_code == 422


async def test_a_limit_is_refused_not_ignored(world: World, client: httpx.AsyncClient) -> None:
    answer = await get(client, world, limit=10)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/query/limit")


@pytest.mark.parametrize("ending", ["consent", "token", "partner", "outage"])
async def test_an_export_that_must_end_says_why_and_where(
    ending: str, world: World, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first page, which is read while the answer has not begun."""
    headers = world.headers() | {"Accept": export.MEDIA_TYPE}
    read = world.records.page

    async def read_then_end(*arguments: Any) -> Any:
        page = await read(*arguments)
        if ending == "consent":
            world.grants.stored.clear()
        elif ending == "token":
            world.clock.advance(hours=1)
        elif ending == "partner":
            world.clock.advance(seconds=31)
            world.change_partner(disabled_at=world.clock.now)
        else:
            world.outage.is_on = True
        return page

    monkeypatch.setattr(world.records, "page", read_then_end)
    answer = await client.get(PATH, params={"from": "2026-02-01"}, headers=headers)
    *_, cursor, last = lines(answer)
    assert answer.status_code == 200
    assert (last["end"], last["records"], last["next"]) == (False, 10, cursor["next"])
    status, kind = {
        "consent": (404, "vehicle-not-found"),
        "token": (401, "unauthenticated"),
        "partner": (401, "unauthenticated"),
        "outage": (503, "store-unavailable"),
    }[ending]
    assert (last["error"]["status"], last["error"]["type"]) == (status, f"urn:piston:problem:{kind}")
    assert VIN not in last["error"]["detail"]


async def test_what_fails_before_the_first_record_is_an_answer_of_its_own(
    world: World, client: httpx.AsyncClient
) -> None:
    headers = world.headers() | {"Accept": export.MEDIA_TYPE}
    world.outage.is_on = True
    answer = await client.get(PATH, params={"from": "2026-02-01"}, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")


async def test_a_bulk_export_tells_vehicles_apart_and_drops_those_whose_consent_ends(
    world: World, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.vehicles.bulk.service.PAGE_RECORDS", COUNT)
    world.grant(vin=OTHER_VIN)
    headers = world.headers() | {"Accept": export.MEDIA_TYPE}
    body = {"vins": [VIN, OTHER_VIN], "fields": ["speed"], "from": "2026-02-01"}
    *told, last = lines(await client.post(BULK, json=body, headers=headers))
    records = [line for line in told if "time" in line]
    assert {line["vin"] for line in records} == {VIN, OTHER_VIN}
    assert [(each["vin"], each["records"]) for each in last["vehicles"]] == [(VIN, COUNT), (OTHER_VIN, COUNT)]
    assert (last["end"], last["records"], last["not_found"]) == (True, 2 * COUNT, [])
    read = world.records.fleet_page

    async def read_then_revoke(*arguments: Any) -> Any:
        page = await read(*arguments)
        world.grants.stored.pop((CLIENT_ID, OTHER_VIN), None)
        return page

    monkeypatch.setattr(world.records, "fleet_page", read_then_revoke)
    *told, last = lines(await client.post(BULK, json=body, headers=headers))
    assert {line["vin"] for line in told if "time" in line} == {VIN}
    assert (last["end"], last["records"], last["not_found"]) == (True, COUNT, [OTHER_VIN])


async def test_the_next_page_is_read_when_the_one_before_has_left() -> None:
    """A slow client slows the reading; one that goes away ends it."""
    read: list[str] = []

    class Source:
        async def page(self, cursor: str) -> ExportPage:
            read.append(cursor)
            return ExportPage([{"time": cursor}], str(int(cursor) + 1))

        def summary(self) -> dict[str, Any]:
            return {}

    stream: AsyncIterator[bytes] = export_lines(Source(), ExportPage([{"time": "0"}], "1"), "id")
    await anext(stream)
    assert read == []
    await anext(stream)
    assert read == ["1"]
    await stream.aclose()  # type: ignore[attr-defined]
    assert read == ["1"]


@pytest.mark.parametrize(
    ("accept", "is_export"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("application/x-ndjson", True),
        ("application/x-ndjson, */*;q=0.1", True),
        ("application/json, application/x-ndjson;q=0.5", False),
        ("application/json;q=0.5, Application/X-NDJSON", True),
        ("application/x-ndjson;q=0", False),
        ("application/x-ndjson;q=x, ;;,", False),
    ],
)
def test_the_accept_header_chooses(accept: str | None, is_export: bool) -> None:
    assert wants_export(accept) is is_export


async def test_scopes_hold_in_exports_too(world: World, client: httpx.AsyncClient) -> None:
    world.grant(Scope.TELEMETRY_READ)
    *told, last = lines(await get(client, world, fields="location,speed"))
    assert told[0]["location"] is None
    assert last["withheld"] == ["records.location"]
