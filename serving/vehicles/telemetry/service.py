"""Answers a vehicle's records: pages, and exports of any length."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from serving.consent.gate import VehicleAccess
from serving.problems.errors import FieldProblem, InvalidParametersError
from serving.vehicles.telemetry.answer import (
    consent_told,
    pending_tiers,
    query_told,
    records_told,
    vehicle_told,
)
from serving.vehicles.telemetry.asked import Asked, Rules
from serving.vehicles.telemetry.cursors import CursorSeal
from serving.vehicles.telemetry.export import PAGE_RECORDS, ExportPage
from serving.vehicles.telemetry.query import DEFAULT_LIMIT, TelemetryQuery
from serving.vehicles.telemetry.repository import TelemetryReader
from telematics.clock import Clock, utc_now
from warehouse.history import Page

LONGEST: Final = timedelta(days=731)
"""Two years, one of them a leap year: what warm and cold tier hold."""
LONGEST_EXPORT: Final = timedelta(days=3660)
"""Ten years and some days."""
_RULES: Final = Rules("query", default_span=None)

Reopen = Callable[[], Awaitable[VehicleAccess]]
"""Asks for token and consent again."""


@dataclass(frozen=True, slots=True)
class TelemetryAnswer:
    """A page, ready to be encoded."""

    body: dict[str, Any]
    next_cursor: str | None


def without_limit(limit: int | None, pointer: str) -> None:
    """An export has no pages.

    Raises:
        InvalidParametersError: a limit was given.
    """
    if limit is not None:
        message = "an export has no pages: leave limit out, or ask for application/json"
        raise InvalidParametersError(FieldProblem(pointer, message))


class TelemetryService:
    """Answers records of one vehicle."""

    def __init__(self, telemetry: TelemetryReader, seal: CursorSeal, clock: Clock = utc_now) -> None:
        self._telemetry = telemetry
        self._seal = seal
        self._clock = clock

    async def page(self, access: VehicleAccess, query: TelemetryQuery) -> TelemetryAnswer:
        """One page.

        Raises:
            InvalidParametersError: the range is missing, empty, reversed or too long, or a field is unknown.
            CursorRefusedError: the cursor was changed, or belongs to another query.
            StoreUnavailableError: a tier does not answer.
        """
        asked, after = _RULES.resolve(query, self._seal, access, self._clock(), LONGEST)
        page = await self._telemetry.page(access, asked, query.limit or DEFAULT_LIMIT, after)
        next_cursor = self._next(access, asked, page)
        body = {**query_told(asked), **vehicle_told(access, asked, page), "next": next_cursor}
        return TelemetryAnswer(body, next_cursor)

    async def export(
        self, access: VehicleAccess, query: TelemetryQuery, reopen: Reopen
    ) -> tuple["VehicleExport", ExportPage]:
        """The export of a range, and its first page.

        Args:
            access: for the first page.
            query: what to export.
            reopen: asks for access again, before each further page.

        Raises:
            InvalidParametersError: as for a page, or a limit was given.
            CursorRefusedError: as for a page.
            StoreUnavailableError: as for a page.
        """
        without_limit(query.limit, "#/query/limit")
        asked, after = _RULES.resolve(query, self._seal, access, self._clock(), LONGEST_EXPORT)
        export = VehicleExport(self, asked, reopen)
        return export, await export.read(access, after)

    async def export_page(
        self, access: VehicleAccess, asked: Asked, after: str | None
    ) -> tuple[Page, str | None]:
        """A page of an export and the cursor of the next."""
        page = await self._telemetry.page(access, asked, PAGE_RECORDS, after)
        return page, self._next(access, asked, page)

    def position(self, access: VehicleAccess, cursor: str) -> str:
        """Where a cursor of ours goes on."""
        return self._seal.open(access, cursor).after

    def _next(self, access: VehicleAccess, asked: Asked, page: Page) -> str | None:
        return None if page.next is None else self._seal.seal(access, asked.sealed(page.next))


class VehicleExport:
    """One vehicle's range, page by page; see `serving.vehicles.telemetry.export`."""

    def __init__(self, service: TelemetryService, asked: Asked, reopen: Reopen) -> None:
        self._service = service
        self._asked = asked
        self._reopen = reopen
        self._tiers: dict[str, None] = {}
        self._pending: dict[str, None] = {}
        self._told: dict[str, Any] = {}

    async def page(self, cursor: str) -> ExportPage:
        """See `ExportSource`."""
        access = await self._reopen()
        return await self.read(access, self._service.position(access, cursor))

    async def read(self, access: VehicleAccess, after: str | None) -> ExportPage:
        """The page after a position of the history."""
        page, next_cursor = await self._service.export_page(access, self._asked, after)
        self._tiers |= dict.fromkeys(page.tiers)
        self._pending |= dict.fromkeys(pending_tiers(page))
        self._told = {"vin": access.vin, **consent_told(access, self._asked)}
        return ExportPage(records_told(access, self._asked, page), next_cursor)

    def summary(self) -> dict[str, Any]:
        """See `ExportSource`."""
        return {
            **query_told(self._asked),
            **self._told,
            "tiers": list(self._tiers),
            "pending_tiers": list(self._pending),
        }
