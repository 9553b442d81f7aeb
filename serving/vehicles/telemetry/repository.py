"""A vehicle's records over all tiers, from the warehouse's history."""

from typing import Protocol

from serving.consent.gate import VehicleAccess
from serving.problems.errors import CursorRefusedError
from serving.stores import StoreUnavailableError, answering
from serving.time_range import TimeRange
from warehouse.history import DamagedError, HistoryStores, InvalidCursorError, Page, read

COLUMNS = (
    "time",
    "received_at",
    "lat",
    "lng",
    "hdop",
    "is_valid",
    "satellites",
    "speed_mph",
    "heading",
    "altitude_ft",
    "odometer",
    "odometer_source",
    "fuel_pct",
    "battery_v",
    "dtc_codes",
    "ignition",
    "movement",
    "rpm",
    "coolant_c",
    "engine_load_pct",
    "ambient_c",
    "hv_soc_pct",
    "event_id",
)
"""What answers are built from; the raw elements of a record stay inside."""

_WITHIN_S = 15.0


class TelemetryReader(Protocol):
    """Reads pages of records."""

    async def page(self, access: VehicleAccess, asked: TimeRange, limit: int, after: str | None) -> Page:
        """Up to `limit` records of the range in order of time, from a position on.

        Raises:
            CursorRefusedError: the position is not one of this query.
            StoreUnavailableError: a tier does not answer.
        """


class StoredTelemetry:
    """Records in TimescaleDB, ClickHouse and the archive."""

    def __init__(self, history: HistoryStores) -> None:
        self._history = history

    async def page(self, access: VehicleAccess, asked: TimeRange, limit: int, after: str | None) -> Page:
        """See `TelemetryReader`."""
        async with answering("the warehouse", within_s=_WITHIN_S):
            try:
                return await read(
                    self._history,
                    access.vin,
                    asked.start,
                    asked.end,
                    limit=limit,
                    after=after,
                    fields=COLUMNS,
                )
            except InvalidCursorError as error:
                raise CursorRefusedError from error
            except DamagedError as error:
                # whoever runs the archive has to look; nothing of a damaged file is answered
                raise StoreUnavailableError(str(error)) from error
