"""What must hold between the tiers (stub of the fixed signatures)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from telematics.clock import Clock, utc_now
from telematics.settings import Settings

Number = int | float | str | None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's outcome; `numbers` are what the verdict rests on, ready to be shown."""

    passed: bool
    description: str
    numbers: Mapping[str, Number]


def fresh(
    settings: Settings, *, clock: Clock = utc_now, silent_after: timedelta = timedelta(hours=1)
) -> CheckResult:
    """The newest live row was received less than `silent_after` ago; fleets without live cars pass."""
    raise NotImplementedError


def volume(settings: Settings, day: date, *, factor: float = 5.0, window_days: int = 28) -> CheckResult:
    """The day's row count lies within `factor` of the median of earlier days that have data."""
    raise NotImplementedError


def parity(settings: Settings, days: Sequence[date] | None = None) -> CheckResult:
    """Counts and sums agree between TimescaleDB and ClickHouse for days that should be equal."""
    raise NotImplementedError


def no_future(
    settings: Settings, *, clock: Clock = utc_now, tolerance: timedelta = timedelta(days=1)
) -> CheckResult:
    """No row's time lies further ahead of now than the tolerance."""
    raise NotImplementedError


def unique_identity(settings: Settings, first: date, until: date) -> CheckResult:
    """Each (device_id, time, event_id, content_hash) occurs once in ClickHouse's days."""
    raise NotImplementedError
