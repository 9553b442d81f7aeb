"""One read across tiers for one vehicle (stub of the fixed signatures).

stores = await HistoryStores.open(settings)
page = await read(stores, vin, start, end, limit=1000)
while page.next is not None:
    page = await read(stores, vin, start, end, limit=1000, after=page.next)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Self

from telematics.errors import PistonError
from telematics.settings import Settings

Record = dict[str, Any]
"""Column name to value; `time` is an aware UTC datetime, `dtc_codes` a list or None, `raw_data` a dict or None."""


class InvalidCursorError(PistonError):
    """A cursor is damaged or belongs to another query."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `limit` records in order (time, device_id, event_id, content_hash)."""

    records: tuple[Record, ...]
    tiers: tuple[str, ...]
    """Tiers asked for this page, `hot` and `warm`, in time order."""
    next: str | None
    """Opaque, URL-safe; None on the last page."""


@dataclass(frozen=True, slots=True)
class OdometerReading:
    """The last odometer value of one day and source."""

    date: date
    odometer: float
    """Miles."""
    source: str
    is_primary: bool


class HistoryStores:
    """A PostgreSQL pool and a ClickHouse client of the reading user; one per process."""

    @classmethod
    async def open(cls, settings: Settings, *, pool_size: int = 4) -> Self:
        """Connect to both stores."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let the connections go."""


async def read(
    stores: HistoryStores,
    vin: str,
    start: datetime,
    end: datetime,
    *,
    limit: int = 1000,
    after: str | None = None,
    fields: Sequence[str] | None = None,
) -> Page:
    """One page of a vehicle's records with start <= time < end."""
    raise NotImplementedError


async def odometer_history(stores: HistoryStores, vin: str, start: date, end: date) -> list[OdometerReading]:
    """The vehicle's readings with start <= date < end, one per date and source."""
    raise NotImplementedError
