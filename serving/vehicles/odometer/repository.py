"""Daily odometer readings from the warehouse."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from serving.consent.gate import VehicleAccess
from serving.stores import answering
from warehouse.history import HistoryStores, OdometerReading, odometer_history

_WITHIN_S = 10.0
"""Twenty years are some thousand rows of one vehicle."""


class OdometerReader(Protocol):
    """Reads odometer readings."""

    async def readings(self, access: VehicleAccess, start: date, end: date) -> Sequence[OdometerReading]:
        """The readings with start <= date < end, one per date and source, by date.

        Raises:
            StoreUnavailableError: the warehouse does not answer.
        """


class StoredOdometer:
    """Readings in ClickHouse."""

    def __init__(self, history: HistoryStores) -> None:
        self._history = history

    async def readings(self, access: VehicleAccess, start: date, end: date) -> Sequence[OdometerReading]:
        """See `OdometerReader`."""
        async with answering("the warehouse", within_s=_WITHIN_S):
            return await odometer_history(self._history, access.vin, start, end)
