"""Whole UTC days from TimescaleDB into ClickHouse, by the merge rule (stub of the fixed signatures)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from telematics.clock import Clock, utc_now
from telematics.settings import Settings

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DayLoad:
    """What one day's load found and left behind."""

    day: date
    row_count: int
    """Rows of the day in ClickHouse now."""
    hot_rows: int
    """Rows of the day that TimescaleDB held."""
    kept_rows: int
    """Rows of the day that ClickHouse held before."""
    hot_version: int
    """`hot_days.version` read before the select; 0 for a day that the sink never wrote."""
    is_provisional: bool
    """The day was not over when it was loaded."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One call of `load_days`."""

    run_id: str
    days: tuple[DayLoad, ...]
    skipped: tuple[date, ...]
    """Days left alone because `only_dirty` found nothing new in them."""
    seconds: float

    @property
    def row_count(self) -> int:
        """Rows in ClickHouse over all loaded days."""
        return sum(day.row_count for day in self.days)


def load_days(
    settings: Settings,
    first: date,
    until: date,
    run_id: str,
    *,
    clock: Clock = utc_now,
    progress: Progress = lambda _: None,
    only_dirty: bool = False,
) -> LoadReport:
    """Merge the days `first` (inclusive) to `until` (exclusive) into `analytics.telemetry`."""
    raise NotImplementedError
