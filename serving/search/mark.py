"""Up to where the index knows the grants, asked for now and then.

An older mark than the index's own is as good: more grants are then looked up one by one. So it is kept for a
while, and a rebuild in between does no harm.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

from elasticsearch import AsyncElasticsearch

from serving.stores import answering
from telematics.names import SEARCH_ALIAS
from warehouse.search.index import FAILURES, parse_mark
from warehouse.search.sources import ConsentMark

KEPT_S: Final = 30.0


class MarkReader(Protocol):
    """Tells up to where the index knows the grants."""

    async def read(self) -> ConsentMark:
        """The mark, or an older one.

        Raises:
            StoreUnavailableError: the index cannot be asked, or there is none.
        """


class StoredMark:
    """The mark in the mapping of the index behind the alias."""

    def __init__(self, client: AsyncElasticsearch, now_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now_s = now_s
        self._kept: tuple[float, ConsentMark] | None = None

    async def read(self) -> ConsentMark:
        """See `MarkReader`."""
        if self._kept is not None and self._now_s() - self._kept[0] < KEPT_S:
            return self._kept[1]
        async with answering("Elasticsearch", *FAILURES):
            answer = await self._client.indices.get_mapping(index=SEARCH_ALIAS)
        # two for the moment in which the alias moves
        mark = min(parse_mark(index["mappings"]) for index in answer.body.values())
        self._kept = self._now_s(), mark
        return mark
