"""Which device times may become a row's: a clock that is not set must not make days of absurd years.

A tracker without a clock says 1970, one that lost the week count of its satellites is 1,024 weeks off, and a
broken one says 2038. Such records are kept as dead letters with their reason; they make no chunk, no day and
no live state. The limits are settings.
"""

from dataclasses import dataclass
from typing import Final

from ingest.measurement import FIRST_TIME_MS
from telematics.clock import day_start, epoch_ms, from_epoch_ms
from telematics.settings import Settings

END_TIME_MS: Final = 4_102_444_800_000
"""2100-01-01T00:00Z, excluded: what no setting goes beyond."""
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class DeviceTimes:
    """The times that count.

    Attributes:
        earliest_ms: included.
        ahead_ms: how far a device's clock may be ahead of the record's arrival.
    """

    earliest_ms: int = FIRST_TIME_MS
    ahead_ms: int = END_TIME_MS

    @classmethod
    def of(cls, settings: Settings) -> "DeviceTimes":
        """As the settings say."""
        return cls(
            epoch_ms(day_start(settings.device_time_earliest)), settings.device_time_ahead_h * _HOUR_MS
        )

    def accept(self, time_ms: int, received_at_ms: int) -> bool:
        """Whether a record of this time that arrived at that moment is a row."""
        return self.earliest_ms <= time_ms < END_TIME_MS and time_ms <= received_at_ms + self.ahead_ms

    def words(self) -> str:
        """What lies outside, for people."""
        earliest = from_epoch_ms(self.earliest_ms).date()
        if self.ahead_ms >= END_TIME_MS:
            return f"before {earliest} or after 2099"
        return f"before {earliest} or more than {self.ahead_ms // _HOUR_MS} h ahead of their arrival"


ANY_STORABLE: Final = DeviceTimes()
"""The years 2000 to 2099, whenever they arrive."""
