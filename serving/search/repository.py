"""The search index, asked with what the partner may find as part of the question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from elasticsearch import AsyncElasticsearch

from serving.consent.gate import FleetAccess
from serving.search.body import build_body
from serving.search.wanted import Facet, Wanted
from serving.stores import answering
from telematics.names import SEARCH_ALIAS
from warehouse.search.index import FAILURES


@dataclass(frozen=True, slots=True)
class Hit:
    """A vehicle that was found."""

    document: Mapping[str, Any]
    sorted_by: Sequence[Any]
    """Its place in the order."""


@dataclass(frozen=True, slots=True)
class Found:
    """One page."""

    hits: Sequence[Hit] = ()
    has_more: bool = False
    total: int = 0
    total_is_exact: bool = True
    facets: Mapping[Facet, Sequence[tuple[str | int, int]]] | None = None
    """Value and count, the most frequent first."""


class VehicleFinder(Protocol):
    """Finds vehicles."""

    async def find(
        self, fleet: FleetAccess, wanted: Wanted, limit: int, after: Sequence[Any] | None
    ) -> Found:
        """The next vehicles in the order asked for, of those that the partner may find.

        Raises:
            StoreUnavailableError: the index cannot be asked, or there is none.
        """


class StoredVehicles:
    """Vehicles in Elasticsearch."""

    def __init__(self, client: AsyncElasticsearch) -> None:
        self._client = client

    async def find(
        self, fleet: FleetAccess, wanted: Wanted, limit: int, after: Sequence[Any] | None
    ) -> Found:
        """See `VehicleFinder`."""
        body = orjson.dumps(build_body(fleet, wanted, limit=limit, after=after))
        async with answering("Elasticsearch", *FAILURES):
            answer = await self._client.perform_request(
                "POST",
                f"/{SEARCH_ALIAS}/_search",
                headers={"content-type": "application/json", "accept": "application/json"},
                body=body,
            )
        return _found(answer.body, wanted, limit)


def _found(answer: Mapping[str, Any], wanted: Wanted, limit: int) -> Found:
    hits = answer["hits"]
    facets = {facet: _counts(answer["aggregations"][facet.value]) for facet in wanted.facets}
    return Found(
        hits=[Hit(hit["_source"], hit["sort"]) for hit in hits["hits"][:limit]],
        has_more=len(hits["hits"]) > limit,
        total=hits["total"]["value"],
        total_is_exact=hits["total"]["relation"] == "eq",
        facets=facets or None,
    )


def _counts(aggregation: Mapping[str, Any]) -> list[tuple[str | int, int]]:
    values = aggregation.get("values", aggregation)
    return [(bucket["key"], bucket["doc_count"]) for bucket in values["buckets"]]
