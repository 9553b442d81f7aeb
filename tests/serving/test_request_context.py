from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from serving.request_context import choose_request_id
from tests.serving.world import VIN, World


@pytest.mark.parametrize(
    "offered", [b"7f9c24e8-3b0c", b"4BF92F3577B34DA6A3CE929D0E0E4736", b"trace.1:span_2-abc", b"a" * 128]
)
def test_a_harmless_id_is_taken_over(offered: bytes) -> None:
    assert choose_request_id(offered) == offered.decode()


@pytest.mark.parametrize(
    "offered",
    [
        None,
        b"",
        b"short",
        b"a" * 129,
        b"with blank in it",
        b"line\nbreak.",
        b"\xff" * 10,
        b"1HGCM82633A123456",
        b"car-1hgcm82633a123456.7",
    ],
)
def test_anything_else_is_replaced_by_an_id_of_ours(offered: bytes | None) -> None:
    chosen = choose_request_id(offered)
    assert UUID(chosen)


async def test_the_id_is_echoed_and_names_the_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nothing", headers={"X-Request-Id": "my-request-0001"})
    assert answer.headers["X-Request-Id"] == "my-request-0001"
    assert answer.json()["instance"] == "urn:piston:request:my-request-0001"


async def test_the_access_log_names_the_route_and_never_the_vehicle(
    world: World, client: httpx.AsyncClient
) -> None:
    with capture_logs() as lines:
        await client.get(f"/api/v1/vehicles/{VIN}/live-status", headers=world.headers())
        await client.get(f"/api/v1/vehicles/{VIN}/nothing?vin={VIN}", headers={"X-Request-Id": VIN})
    assert [line["route"] for line in lines] == ["/api/v1/vehicles/{vin}/live-status", "unmatched"]
    assert [line["status"] for line in lines] == [200, 404]
    assert lines[0]["client_id"] == world.partner.client_id
    assert VIN not in repr(lines)
