"""Answers records of many vehicles: pages, and exports of any length."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from serving.consent.gate import VehiclesAccess
from serving.vehicles.bulk.schemas import BulkQuery
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
from serving.vehicles.telemetry.query import DEFAULT_LIMIT
from serving.vehicles.telemetry.repository import TelemetryReader
from serving.vehicles.telemetry.service import LONGEST, LONGEST_EXPORT, without_limit
from telematics.clock import Clock, utc_now
from warehouse.history import FleetPage

_RULES: Final = Rules("body", default_span=timedelta(days=1))

Reopen = Callable[[], Awaitable[VehiclesAccess]]
"""Asks for token and consents again."""


class BulkService:
    """Answers records of many vehicles."""

    def __init__(self, telemetry: TelemetryReader, seal: CursorSeal, clock: Clock = utc_now) -> None:
        self._telemetry = telemetry
        self._seal = seal
        self._clock = clock

    async def page(self, access: VehiclesAccess, query: BulkQuery) -> dict[str, Any]:
        """One page.

        Raises:
            InvalidParametersError: the range is empty, reversed or too long, or a field is unknown.
            CursorRefusedError: the cursor was changed, or belongs to another query.
            StoreUnavailableError: a tier does not answer.
        """
        asked, after = _RULES.resolve(query, self._seal, access, self._clock(), LONGEST)
        page = await self._telemetry.fleet_page(access, asked, query.limit or DEFAULT_LIMIT, after)
        return {
            **query_told(asked),
            "vehicles": [vehicle_told(access.vehicles[part.vin], asked, part) for part in page.vehicles],
            **refused_told(access),
            "next": self._next(access, asked, page),
        }

    async def export(
        self, access: VehiclesAccess, query: BulkQuery, reopen: Reopen
    ) -> tuple["BulkExport", ExportPage]:
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
        without_limit(query.limit, "#/body/limit")
        asked, after = _RULES.resolve(query, self._seal, access, self._clock(), LONGEST_EXPORT)
        export = BulkExport(self, asked, reopen)
        return export, await export.read(access, after)

    async def export_page(
        self, access: VehiclesAccess, asked: Asked, after: str | None
    ) -> tuple[FleetPage, str | None]:
        """A page of an export and the cursor of the next."""
        page = await self._telemetry.fleet_page(access, asked, PAGE_RECORDS, after)
        return page, self._next(access, asked, page)

    def position(self, access: VehiclesAccess, cursor: str) -> str:
        """Where a cursor of ours goes on."""
        return self._seal.open(access, cursor, "#/body/cursor").after

    def _next(self, access: VehiclesAccess, asked: Asked, page: FleetPage) -> str | None:
        return None if page.next is None else self._seal.seal(access, asked.sealed(page.next))


def refused_told(access: VehiclesAccess) -> dict[str, Any]:
    """The vehicles that are not answered."""
    return {"not_found": list(access.not_found), "not_covered": list(access.not_covered)}


class BulkExport:
    """Many vehicles' range, page by page; see `serving.vehicles.telemetry.export`.

    Each record has its `vin`. The last line says of each vehicle what a page says, with the count of its
    records in place of these. A vehicle whose consent ends is read no further and is then in `not_found`.
    """

    def __init__(self, service: BulkService, asked: Asked, reopen: Reopen) -> None:
        self._service = service
        self._asked = asked
        self._reopen = reopen
        self._vehicles: dict[str, dict[str, Any]] = {}
        self._refused: dict[str, Any] = {}

    async def page(self, cursor: str) -> ExportPage:
        """See `ExportSource`."""
        access = await self._reopen()
        return await self.read(access, self._service.position(access, cursor))

    async def read(self, access: VehiclesAccess, after: str | None) -> ExportPage:
        """The page after a position of the history."""
        page, next_cursor = await self._service.export_page(access, self._asked, after)
        self._refused = refused_told(access)
        records: list[dict[str, Any]] = []
        for part in page.vehicles:
            vehicle = access.vehicles[part.vin]
            told = self._vehicles.setdefault(
                part.vin, {"vin": part.vin, "records": 0, "tiers": [], "pending_tiers": []}
            )
            told["records"] += len(part.records)
            told["tiers"] = list(dict.fromkeys([*told["tiers"], *part.tiers]))
            told["pending_tiers"] = told["pending_tiers"] or pending_tiers(part)
            told |= consent_told(vehicle, self._asked)
            records += ({"vin": part.vin, **record} for record in records_told(vehicle, self._asked, part))
        return ExportPage(records, next_cursor)

    def summary(self) -> dict[str, Any]:
        """See `ExportSource`."""
        return {**query_told(self._asked), "vehicles": list(self._vehicles.values()), **self._refused}
