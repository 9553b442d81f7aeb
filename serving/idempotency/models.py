"""What is remembered of a request, as values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

KEPT_FOR: Final = timedelta(hours=24)
"""An answer is given again for so long."""
LEASE: Final = timedelta(minutes=3)
"""A request that has not ended by then has died with its process: the next one with its key runs. Longer than
any request may take (`serving.vehicles.readings.limits`)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run the request of a key."""

    client: str
    key: str
    claimed_at: datetime
    """Tells this claim from a later one of the same key."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an earlier request with the key came to."""

    fingerprint: str
    status: int
    body: Any
