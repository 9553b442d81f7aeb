"""Remembered requests in the real table."""

import secrets
from datetime import timedelta

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from serving.idempotency.models import KEPT_FOR, LEASE, Claim, Remembered
from serving.idempotency.repository import IdempotencyRepository
from telematics.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
async def connection(stack: Settings):
    async with await AsyncConnection.connect(
        stack.timescale_dsn(), row_factory=dict_row, autocommit=True
    ) as opened:
        yield opened


async def age(connection: AsyncConnection[DictRow], key: str, by: timedelta) -> None:
    await connection.execute(
        "update idempotency_keys set created_at = created_at - %s where key = %s", [by, key]
    )


async def test_a_key_is_claimed_once_settled_and_remembered(connection):
    requests, key = IdempotencyRepository(connection), secrets.token_hex(8)
    claim = await requests.claim("a", key)
    assert isinstance(claim, Claim)
    assert await requests.claim("a", key) is None
    assert isinstance(await requests.claim("b", key), Claim), "another sender's key is another key"
    await requests.settle(claim, "print", 202, {"accepted": 1})
    assert await requests.claim("a", key) == Remembered("print", 202, {"accepted": 1})


async def test_a_released_key_is_free(connection):
    requests, key = IdempotencyRepository(connection), secrets.token_hex(8)
    claim = await requests.claim("a", key)
    await requests.release(claim)
    assert isinstance(await requests.claim("a", key), Claim)


async def test_what_died_gives_its_key_up_and_does_no_harm_when_it_comes_back(connection):
    requests, key = IdempotencyRepository(connection), secrets.token_hex(8)
    dead = await requests.claim("a", key)
    await age(connection, key, LEASE)
    heir = await requests.claim("a", key)
    assert isinstance(heir, Claim)
    await requests.settle(dead, "print", 202, {})
    await requests.release(dead)
    assert await requests.claim("a", key) is None, "it is the heir's"


async def test_an_answer_is_kept_for_a_day(connection):
    requests, key = IdempotencyRepository(connection), secrets.token_hex(8)
    claim = await requests.claim("a", key)
    await requests.settle(claim, "print", 202, {})
    await age(connection, key, KEPT_FOR - timedelta(minutes=1))
    assert isinstance(await requests.claim("a", key), Remembered)
    await age(connection, key, timedelta(minutes=2))
    assert isinstance(await requests.claim("a", key), Claim)


async def test_old_rows_are_forgotten(connection):
    requests, old, new = IdempotencyRepository(connection), secrets.token_hex(8), secrets.token_hex(8)
    for key in (old, new):
        await requests.claim("a", key)
    await age(connection, old, 3 * KEPT_FOR)
    assert await requests.forget() >= 1
    cursor = await connection.execute("select key from idempotency_keys where key = any(%s)", [[old, new]])
    assert [row["key"] for row in await cursor.fetchall()] == [new]
