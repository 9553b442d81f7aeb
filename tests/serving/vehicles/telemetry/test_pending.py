"""Days that have to be restored first: the rest is answered, and what is missing is named."""

from datetime import date

from serving.consent.gate import VehicleAccess, VehiclesAccess
from serving.vehicles.telemetry.asked import Asked
from serving.vehicles.telemetry.cursors import CursorSeal
from serving.vehicles.telemetry.query import TelemetryQuery
from serving.vehicles.telemetry.schemas import TelemetryPageRead
from serving.vehicles.telemetry.service import TelemetryService
from tests.serving.world import World
from warehouse.history import FleetPage, Page


class Frozen:
    """Two days of the range lie in Glacier."""

    async def page(self, access: VehicleAccess, asked: Asked, limit: int, after: str | None) -> Page:
        return Page((), ("cold",), None, pending_days=(date(2026, 1, 2), date(2026, 1, 3)))

    async def fleet_page(
        self, access: VehiclesAccess, asked: Asked, limit: int, after: str | None
    ) -> FleetPage:
        message = "one vehicle was asked for"
        raise AssertionError(message)


async def test_the_tier_that_is_waited_for_is_named(world: World) -> None:
    service = TelemetryService(Frozen(), CursorSeal(b"k" * 32))
    query = TelemetryQuery.model_validate({"from": "2026-01-01", "to": "2026-02-01"})
    answer = await service.page(await world.access(), query)
    page = TelemetryPageRead.model_validate(answer.body)
    assert (page.tiers, page.pending_tiers, page.records) == (["cold"], ["archive"], [])
