"""The clock as a value that callers pass in, so that tests can move it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def utc_today(clock: Clock = utc_now) -> date:
    """The present UTC day."""
    return clock().date()


def day_start(day: date) -> datetime:
    """00:00 UTC of the day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00Z of an aware datetime, exact (no float in between)."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_epoch_ms(ms: int) -> datetime:
    """The aware UTC datetime of a count of milliseconds since the epoch.

    Raises:
        OverflowError: the count lies outside the years 1 to 9999.
    """
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def rfc3339_ms(moment: datetime) -> str:
    """RFC 3339 text in UTC with milliseconds and a `Z`: `2026-01-31T09:15:00.250Z`."""
    # isoformat cuts digits off as we do, and strftime is slower: answers have thousands of these
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
