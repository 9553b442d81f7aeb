import base64
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from serving.partners import secrets
from serving.scopes import Scope
from tests.serving.world import CLIENT_ID, VIN, World

GRANT = {"grant_type": "client_credentials"}


async def test_a_token_taken_by_basic_authentication_opens_a_vehicle(
    world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/oauth/token", data=GRANT, auth=(CLIENT_ID, world.secret))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", world.settings.token_lifetime_s)
    assert body["scope"] == " ".join(Scope)
    read = await client.get(
        f"/api/v1/vehicles/{VIN}/live-status", headers={"Authorization": f"Bearer {body['access_token']}"}
    )
    assert read.status_code == 200


async def test_credentials_may_come_in_the_form(world: World, client: httpx.AsyncClient) -> None:
    form = {**GRANT, "client_id": CLIENT_ID, "client_secret": world.secret, "scope": "dtc:read odometer:read"}
    answer = await client.post("/oauth/token", data=form)
    assert answer.json()["scope"] == "odometer:read dtc:read"


async def test_the_published_keys_verify_the_token(world: World, client: httpx.AsyncClient) -> None:
    token = (await client.post("/oauth/token", data=GRANT, auth=(CLIENT_ID, world.secret))).json()
    published = (await client.get("/.well-known/jwks.json")).json()
    decoded = jwt.decode(token["access_token"], KeySet.import_key_set(published), algorithms=["ES256"])
    assert decoded.claims["iss"] == world.settings.issuer


async def test_the_metadata_leads_to_endpoints_that_answer(world: World, client: httpx.AsyncClient) -> None:
    metadata = (await client.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == world.settings.issuer
    assert metadata["grant_types_supported"] == ["client_credentials"]
    for name, method, status in (("token_endpoint", "POST", 400), ("jwks_uri", "GET", 200)):
        path = metadata[name].removeprefix(metadata["issuer"])
        assert (await client.request(method, path)).status_code == status


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


async def test_an_encoded_pair_is_decoded_as_rfc_6749_asks(world: World, client: httpx.AsyncClient) -> None:
    header = {"Authorization": basic(CLIENT_ID.replace("_", "%5F"), world.secret.replace("_", "%5F"))}
    assert (await client.post("/oauth/token", data=GRANT, headers=header)).status_code == 200


@pytest.mark.parametrize(
    ("data", "error", "status"),
    [
        ({}, "invalid_request", 400),
        ({"grant_type": ""}, "invalid_request", 400),
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
        ({**GRANT, "scope": "telemetry:erase"}, "invalid_scope", 400),
        ({**GRANT, "scope": "dtc:read\0"}, "invalid_scope", 400),
        ({**GRANT, "client_secret": "x"}, "invalid_request", 400),
        ({**GRANT, "client_id": "pc_" + "b" * 20}, "invalid_request", 400),
        ({**GRANT, "scope": ["dtc:read", "dtc:read"]}, "invalid_request", 400),
        ({f"f{number}": "" for number in range(30)}, "invalid_request", 400),
    ],
)
async def test_a_wrong_form_is_answered_as_rfc_6749_says(
    data: dict[str, Any], error: str, status: int, world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/oauth/token", data=data, auth=(CLIENT_ID, world.secret))
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_scope_that_the_partner_does_not_hold_is_refused(
    world: World, client: httpx.AsyncClient
) -> None:
    world.change_partner(scopes=frozenset({Scope.TELEMETRY_READ}))
    form = {**GRANT, "scope": "telemetry:read score:read"}
    answer = await client.post("/oauth/token", data=form, auth=(CLIENT_ID, world.secret))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    "header",
    [
        None,
        basic(CLIENT_ID, secrets.new_secret()),
        basic("pc_" + "b" * 20, secrets.new_secret()),
        basic(CLIENT_ID, ""),
        basic("pc_\0", "x"),
        basic("", ""),
        "Basic !!!",
        "Basic",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Bearer x",
    ],
)
async def test_a_client_that_does_not_prove_itself_gets_one_and_the_same_challenge(
    header: str | None, client: httpx.AsyncClient
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await client.post("/oauth/token", data=GRANT, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


async def test_a_disabled_partner_gets_no_token(world: World, client: httpx.AsyncClient) -> None:
    world.change_partner(disabled_at=world.clock.now)
    answer = await client.post("/oauth/token", data=GRANT, auth=(CLIENT_ID, world.secret))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"grant_type=%ff", b'{"grant_type": "client_credentials"}'])
async def test_a_body_that_is_no_form_is_refused(
    content: bytes, world: World, client: httpx.AsyncClient
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post(
        "/oauth/token", content=content, headers=headers, auth=(CLIENT_ID, world.secret)
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_body_of_another_media_type_is_refused(world: World, client: httpx.AsyncClient) -> None:
    answer = await client.post("/oauth/token", json=GRANT, auth=(CLIENT_ID, world.secret))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_an_outage_is_no_refusal(world: World, client: httpx.AsyncClient) -> None:
    world.outage.is_on = True
    answer = await client.post("/oauth/token", data=GRANT, auth=(CLIENT_ID, world.secret))
    assert answer.status_code == 503
