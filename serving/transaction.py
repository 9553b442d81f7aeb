"""One piece of an operator's work in one transaction: all of it is stored, or nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import dict_row

from serving.partners.repository import Connection
from telematics.errors import UnavailableError
from telematics.settings import Settings

Result = TypeVar("Result")

_CONNECT_TIMEOUT_S = 5


def run_in_transaction(settings: Settings, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Connect, do the work, commit; on any error nothing is stored.

    Raises:
        UnavailableError: TimescaleDB does not let us in, or broke off.
    """
    return asyncio.run(_run(settings, work))


async def _run(settings: Settings, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    try:
        async with await AsyncConnection.connect(
            settings.timescale_dsn(),
            row_factory=dict_row,
            connect_timeout=_CONNECT_TIMEOUT_S,
            application_name="piston",
        ) as connection:
            return await work(connection)
    except OperationalError as error:
        message = (
            f"TimescaleDB at {settings.host}:{settings.timescale_port} does not let us in; run `piston up`, "
            "or check PISTON_TIMESCALE_PORT and PISTON_TIMESCALE_PASSWORD"
        )
        raise UnavailableError(message) from error
