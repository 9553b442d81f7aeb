"""Finds vehicles for a partner."""

from dataclasses import dataclass
from typing import Any, Final

from serving.consent.gate import ConsentGate
from serving.partners.models import PartnerScope
from serving.problems.errors import InsufficientScopeError
from serving.scopes import Scope
from serving.search.cursors import SearchCursors
from serving.search.mark import MarkReader
from serving.search.parameters import SearchQuery, wanted_by
from serving.search.repository import VehicleFinder
from serving.search.results import build_result
from serving.search.wanted import Wanted

_LOCATION: Final = frozenset({Scope.LOCATION_PRECISE, Scope.LOCATION_COARSE})


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """A page, ready to be encoded."""

    body: dict[str, Any]
    next_cursor: str | None


class SearchService:
    """Answers searches."""

    def __init__(
        self, vehicles: VehicleFinder, mark: MarkReader, gate: ConsentGate, cursors: SearchCursors
    ) -> None:
        self._vehicles = vehicles
        self._mark = mark
        self._gate = gate
        self._cursors = cursors

    async def page(self, partner: PartnerScope, query: SearchQuery) -> SearchAnswer:
        """One page.

        Steps: what is wanted and whether the token covers it; which consents changed since the index was
        built; the search among the vehicles with consent alone; and consent once more for each that was
        found, which says what to show of it.

        Raises:
            InvalidParametersError: parameters that make no sense, by themselves or together.
            InsufficientScopeError: the token does not cover what the search is about.
            CursorRefusedError: the cursor was changed, or belongs to another query or partner.
            StoreUnavailableError: grants or index cannot be asked.
        """
        wanted = wanted_by(query)
        _require_scopes(partner, wanted)
        mark = await self._mark.read()
        fleet = await self._gate.open_fleet(partner, mark.read_at, mark.grant_id)
        after = None if query.cursor is None else self._cursors.open(fleet, wanted, query.cursor)
        found = await self._vehicles.find(fleet, wanted, query.limit, after)
        access = await self._gate.open_found(partner, [hit.document["vin"] for hit in found.hits])
        next_cursor = None
        if found.has_more:
            next_cursor = self._cursors.seal(fleet, wanted, found.hits[-1].sorted_by)
        body = {
            "results": [
                build_result(access[hit.document["vin"]], hit.document, wanted.near, query.units)
                for hit in found.hits
                if hit.document["vin"] in access  # consent may have ended this very moment
            ],
            "total": found.total,
            "total_is_exact": found.total_is_exact,
            "facets": {
                facet.value: [{"value": value, "count": count} for value, count in counts]
                for facet, counts in (found.facets or {}).items()
            },
            "next": next_cursor,
        }
        return SearchAnswer(body, next_cursor)


def _require_scopes(partner: PartnerScope, wanted: Wanted) -> None:
    if wanted.is_about_places and not partner.scopes & _LOCATION:
        raise InsufficientScopeError({Scope.LOCATION_COARSE})
    if wanted.is_about_trouble_codes and Scope.DTC_READ not in partner.scopes:
        raise InsufficientScopeError({Scope.DTC_READ})
