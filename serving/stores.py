"""What every store has in common for this API: it may not answer, and then the request ends as a 503."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from telematics.errors import UnavailableError

ANSWER_WITHIN_S = 3.0
"""A look-up that takes longer has lost its partner's patience (the SLA's slowest tier promises 0.5 s)."""


class StoreUnavailableError(UnavailableError):
    """A store does not answer, or not in time."""


@asynccontextmanager
async def answering(
    store: str, *failures: type[Exception], within_s: float = ANSWER_WITHIN_S
) -> AsyncIterator[None]:
    """Turn a store's failures, and its silence, into one error.

    Args:
        store: its name, for the server's log only.
        failures: what its client raises when it cannot be reached.
        within_s: patience in seconds.

    Raises:
        StoreUnavailableError: one of the failures, or no answer in time.
    """
    reasons: tuple[type[Exception], ...] = (TimeoutError, *failures)
    try:
        async with asyncio.timeout(within_s):
            yield
    except reasons as error:
        message = f"{store} does not answer ({type(error).__name__}); see `piston status`"
        raise StoreUnavailableError(message) from error
