"""Hot rows go once ClickHouse holds every one of them (stub of the fixed signature)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from telematics.settings import Settings


@dataclass(frozen=True, slots=True)
class KeptDay:
    """A day past its retention that still has hot rows."""

    day: date
    reason: str


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """One call of `drop_merged_days`."""

    dropped: tuple[date, ...]
    kept: tuple[KeptDay, ...]
    seconds: float


def drop_merged_days(
    settings: Settings,
    today: date,
    keep_days: int,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> RetentionReport:
    """Drop the hot rows of every merged day before `today - keep_days`."""
    raise NotImplementedError
