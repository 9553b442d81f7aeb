"""Vehicles' records over all tiers, from the warehouse's history."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from serving.consent.gate import VehicleAccess, VehiclesAccess
from serving.problems.errors import CursorRefusedError
from serving.stores import StoreUnavailableError, answering
from serving.vehicles.telemetry.asked import Asked
from warehouse.history import (
    DamagedError,
    FleetPage,
    HistoryStores,
    InvalidCursorError,
    Page,
    read,
    read_fleet,
)

_WITHIN_S = 15.0


class TelemetryReader(Protocol):
    """Reads pages of records."""

    async def page(self, access: VehicleAccess, asked: Asked, limit: int, after: str | None) -> Page:
        """Up to `limit` records of the range in order of time, from a position on.

        Raises:
            CursorRefusedError: the position is not one of this query.
            StoreUnavailableError: a tier does not answer.
        """

    async def fleet_page(
        self, access: VehiclesAccess, asked: Asked, limit: int, after: str | None
    ) -> FleetPage:
        """The same of several vehicles, one after the other in the order of their VINs.

        Raises:
            CursorRefusedError: the position is not one of this query.
            StoreUnavailableError: a tier does not answer.
        """


class StoredTelemetry:
    """Records in TimescaleDB, ClickHouse and the archive."""

    def __init__(self, history: HistoryStores) -> None:
        self._history = history

    async def page(self, access: VehicleAccess, asked: Asked, limit: int, after: str | None) -> Page:
        """See `TelemetryReader`."""
        with _told_apart():
            async with answering("the warehouse", within_s=_WITHIN_S):
                return await read(
                    self._history,
                    access.vin,
                    asked.span.start,
                    asked.span.end,
                    limit=limit,
                    after=after,
                    fields=asked.columns,
                    resolution=asked.resolution,
                )

    async def fleet_page(
        self, access: VehiclesAccess, asked: Asked, limit: int, after: str | None
    ) -> FleetPage:
        """See `TelemetryReader`."""
        with _told_apart():
            async with answering("the warehouse", within_s=_WITHIN_S):
                return await read_fleet(
                    self._history,
                    access.vehicles,
                    asked.span.start,
                    asked.span.end,
                    limit=limit,
                    after=after,
                    fields=asked.columns,
                    resolution=asked.resolution,
                )


@contextmanager
def _told_apart() -> Iterator[None]:
    """Turn the history's errors into the API's."""
    try:
        yield
    except InvalidCursorError as error:
        raise CursorRefusedError from error
    except DamagedError as error:
        # whoever runs the archive has to look; nothing of a damaged file is answered
        raise StoreUnavailableError(str(error)) from error
