"""Consents that the index knows, and what changed of them since: on the real stores."""

import uuid
from typing import Any

import pytest
import redis

from serving.app import create_app
from serving.consent.repository import GrantRepository
from serving.consent.service import ConsentService
from serving.partners.service import Credentials, PartnerService
from serving.scopes import PartnerKind, Scope
from telematics.clock import utc_today
from telematics.names import live_key
from telematics.settings import Settings
from tests.serving.planting import Operate, timescale
from tests.serving.world import connect
from warehouse.clients import timescale as store
from warehouse.search import rebuild
from warehouse.search.sources import read_mark

pytestmark = pytest.mark.integration

ALL = (Scope.TELEMETRY_READ, Scope.LOCATION_PRECISE, Scope.DTC_READ)


class Owner:
    """Gives and takes a partner's consents for one vehicle, and searches as the partner."""

    def __init__(self, settings: Settings, operate: Operate, partner: Credentials, vin: str) -> None:
        self.settings, self.vin = settings, vin
        self.client_id, self._secret = partner.partner.client_id, partner.client_secret
        self._operate = operate

    async def grant(self, *scopes: Scope, purpose: str = "test") -> None:
        await self._operate(
            lambda connection: ConsentService(connection, actor="test").grant(
                self.client_id, [self.vin], scopes=list(scopes or ALL), purpose=purpose
            )
        )

    async def revoke(self) -> None:
        await self._operate(
            lambda connection: ConsentService(connection, actor="test").revoke(self.client_id, [self.vin])
        )

    def build(self) -> None:
        """Yesterday's consents into the index, so that only the index knows of them."""
        with timescale(self.settings) as connection:
            connection.execute(
                "update grants set granted_at = granted_at - interval '1 day',"
                " revoked_at = revoked_at - interval '12 hours' where client_id = %s",
                [self.client_id],
            )
        rebuild(self.settings, utc_today())

    def execute(self, statement: str) -> None:
        with timescale(self.settings) as connection:
            connection.execute(statement, [self.client_id])

    async def find(self, **query: Any) -> dict[str, Any]:
        async with connect(create_app(self.settings)) as client:
            answer = await client.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(self.client_id, self._secret),
            )
            headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            answer = await client.get("/api/v1/search", params=query, headers=headers)
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            return body

    async def is_found(self, **query: Any) -> bool:
        body = await self.find(**query)
        assert body["total"] == len(body["results"])
        return [each["vin"] for each in body["results"]] == [self.vin]


@pytest.fixture
async def owner(search_stack: Settings, operate: Operate) -> Owner:
    vin = f"SC{uuid.uuid4().hex[:15].upper()}"
    with timescale(search_stack) as connection:
        connection.execute("insert into vehicles (vin, make) values (%s, 'Lada')", [vin])
    with redis.Redis.from_url(search_stack.valkey_url()) as live:
        position, codes = '1765000000000|{"lat":42.28,"lng":-83.74}', '1765000000000|["P0300"]'
        live.hset(live_key(vin), mapping={"position": position, "dtc_codes": codes})
    partner = await operate(
        lambda connection: PartnerService(connection, actor="test").create(
            f"Owner {vin}", PartnerKind.DEALER, scopes=list(ALL)
        )
    )
    return Owner(search_stack, operate, partner, vin)


async def everywhere(owner: Owner) -> list[bool]:
    """Whether the vehicle is found by name, by code and by place."""
    return [
        await owner.is_found(q="lada"),
        await owner.is_found(dtc="P0300"),
        await owner.is_found(near="42.28,-83.74", sort="distance"),
    ]


async def test_the_index_alone_tells_of_consents_that_it_knows(owner, operate):
    await owner.grant()
    owner.build()
    with store(owner.settings) as connection:
        mark = read_mark(connection)
    changed = await operate(
        lambda connection: GrantRepository(connection).changed_since(
            owner.client_id, mark.read_at, mark.grant_id, mark.read_at
        )
    )
    assert changed == {}
    assert await everywhere(owner) == [True, True, True]


async def test_consent_given_since_the_index_was_built_counts_at_once(owner):
    owner.build()
    assert await everywhere(owner) == [False, False, False]
    await owner.grant()
    assert await everywhere(owner) == [True, True, True]


async def test_consent_withdrawn_since_the_index_was_built_counts_at_once(owner):
    await owner.grant()
    owner.build()
    await owner.revoke()
    assert await everywhere(owner) == [False, False, False]
    owner.build()
    assert await everywhere(owner) == [False, False, False]


async def test_consent_narrowed_since_the_index_was_built_counts_at_once(owner):
    await owner.grant()
    owner.build()
    await owner.revoke()
    await owner.grant(Scope.TELEMETRY_READ)
    assert await everywhere(owner) == [True, False, False]


async def test_consent_widened_by_a_second_purpose_counts_at_once(owner):
    await owner.grant(Scope.TELEMETRY_READ)
    owner.build()
    await owner.grant(Scope.DTC_READ, purpose="repair")
    assert await everywhere(owner) == [True, True, False]


async def test_consent_that_expires_by_itself_ends_then(owner):
    await owner.grant()
    owner.build()
    owner.execute("update grants set expires_at = now() - interval '1 second' where client_id = %s")
    assert await everywhere(owner) == [False, False, False]


async def test_a_grant_recorded_with_an_early_date_is_seen_by_its_number(owner):
    owner.build()
    await owner.grant()
    owner.execute("update grants set granted_at = now() - interval '30 days' where client_id = %s")
    assert await everywhere(owner) == [True, True, True]
