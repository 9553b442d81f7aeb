"""Daily figures per vehicle into Redis (stub of the fixed signature)."""

from dataclasses import dataclass
from datetime import date

from telematics.settings import Settings


@dataclass(frozen=True, slots=True)
class PublishReport:
    """One call of `publish_summaries`."""

    as_of: date
    vehicle_count: int
    seconds: float


def publish_summaries(settings: Settings, as_of: date) -> PublishReport:
    """Write `scores:{vin}` for every vehicle that the warehouse knows on or before `as_of`."""
    raise NotImplementedError
