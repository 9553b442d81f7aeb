"""The warehouse's history reader, connected on first use.

The API starts while the stores are still starting, and answers live status while the warehouse is down.
"""

import asyncio

from serving.stores import StoreUnavailableError
from telematics.errors import UnavailableError
from telematics.settings import Settings
from warehouse.history import HistoryStores


class LazyHistory:
    """Opens the history's connections when the first request needs them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opening = asyncio.Lock()
        self._stores: HistoryStores | None = None

    async def stores(self) -> HistoryStores:
        """The open connections.

        Raises:
            StoreUnavailableError: a store does not let us in now; the next request tries again.
        """
        async with self._opening:
            if self._stores is None:
                try:
                    self._stores = await HistoryStores.open(self._settings)
                except UnavailableError as error:
                    raise StoreUnavailableError(str(error)) from error
            return self._stores

    async def close(self) -> None:
        """Let the connections go."""
        if self._stores is not None:
            await self._stores.close()
            self._stores = None
