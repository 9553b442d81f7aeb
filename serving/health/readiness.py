"""Asks every store whether it answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import httpx
from psycopg import OperationalError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from serving.partners.directory import Pool
from serving.stores import StoreUnavailableError, answering
from telematics.settings import Settings

Probe = Callable[[], Awaitable[None]]
"""Returns when its store answers.

Raises:
    StoreUnavailableError: it does not.
"""

_PATIENCE_S = 2.0


def store_probes(settings: Settings, pool: Pool, redis: "Redis") -> Mapping[str, Probe]:
    """A probe for each store that requests read."""

    async def timescale() -> None:
        async with (
            answering("TimescaleDB", OperationalError, within_s=_PATIENCE_S),
            pool.connection() as connection,
        ):
            await connection.execute("select 1")

    async def valkey() -> None:
        async with answering("Valkey", RedisError, OSError, within_s=_PATIENCE_S):
            await redis.ping()

    async def clickhouse() -> None:
        address = f"http://{settings.host}:{settings.clickhouse_http_port}/ping"
        async with (
            answering("ClickHouse", httpx.HTTPError, within_s=_PATIENCE_S),
            httpx.AsyncClient(timeout=_PATIENCE_S) as client,
        ):
            (await client.get(address)).raise_for_status()

    return {"timescale": timescale, "clickhouse": clickhouse, "valkey": valkey}


class Readiness:
    """The stores' state, asked for anew each time."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes

    async def check(self) -> dict[str, bool]:
        """Whether each store answers; all are asked at once, for two seconds at most."""
        answers = await asyncio.gather(*(self._answers(probe) for probe in self._probes.values()))
        return dict(zip(self._probes, answers, strict=True))

    @staticmethod
    async def _answers(probe: Probe) -> bool:
        try:
            await probe()
        except StoreUnavailableError:
            return False
        return True
