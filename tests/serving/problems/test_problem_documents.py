import httpx
import pytest
from structlog.testing import capture_logs

from tests.serving.world import VIN, World

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/vehicles", "/api/v2/x", f"/api/v1/vehicles/{VIN}/live-status/", "/docs/"]
)
async def test_an_unknown_address_is_a_problem_too(path: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, PROBLEM)
    body = answer.json()
    assert (body["type"], body["title"], body["status"]) == ("about:blank", "Not Found", 404)
    assert body["instance"] == f"urn:piston:request:{answer.headers['X-Request-Id']}"


async def test_another_method_is_a_problem_that_keeps_allow(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/oauth/token")
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, PROBLEM)
    assert answer.headers["Allow"] == "POST"


async def test_a_body_without_measure_is_a_413(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post("/oauth/token", content=b"a" * 20_000, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, PROBLEM)


async def test_a_bug_tells_its_number_and_nothing_else(world: World, client: httpx.AsyncClient) -> None:
    world.records.bug = RuntimeError("password=hunter2 at /srv/piston/secret.py")
    with capture_logs() as lines:
        answer = await client.get(
            f"/api/v1/vehicles/{VIN}/telemetry?from=2026-02-01",
            headers={**world.headers(), "X-Request-Id": "trace-me-please"},
        )
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, PROBLEM)
    assert "hunter2" not in answer.text
    assert "secret.py" not in answer.text
    assert answer.headers["X-Request-Id"] == "trace-me-please"
    assert answer.json()["instance"] == "urn:piston:request:trace-me-please"
    assert ("unhandled_error", "trace-me-please") in [(line["event"], line["request_id"]) for line in lines]


async def test_every_fault_is_pointed_at_and_no_value_is_repeated(
    world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get(
        "/api/v1/vehicles/lowercase/telemetry",
        params={"from": "tomorrow-ish", "limit": "lots"},
        headers=world.headers(),
    )
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert "#/path/vin" in pointers
    for value in ("lowercase", "tomorrow-ish", "lots"):
        assert value not in answer.text
