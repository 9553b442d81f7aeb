"""How finely a history is told: record by record, or one row for each bucket of time.

Buckets are half-open stretches of UTC that begin at multiples of their width since 1970-01-01T00:00Z. None
reaches over midnight UTC, where one tier ends and another begins: each lies in one tier.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Resolution(StrEnum):
    """What one row of an answer stands for."""

    RAW = "raw"
    """A record."""
    MINUTE = "1m"
    """All records of a minute."""
    HOUR = "1h"
    """All records of an hour."""
    DAY = "1d"
    """All records of a UTC day."""

    @property
    def width(self) -> timedelta:
        """Length of a bucket; zero for single records."""
        return _WIDTHS[self]


_WIDTHS: Final = {
    Resolution.RAW: timedelta(0),
    Resolution.MINUTE: timedelta(minutes=1),
    Resolution.HOUR: timedelta(hours=1),
    Resolution.DAY: timedelta(days=1),
}


def bucket_start(moment: datetime, width: timedelta) -> datetime:
    """The first moment of the bucket that a moment lies in."""
    return moment - (moment - EPOCH) % width
