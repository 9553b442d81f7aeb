"""Device keys, and what they open, as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from serving.device_keys.secrets import DeviceKey


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the table knows it."""

    key_id: str
    imei: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key with its secret, which is shown this once."""

    stored: StoredKey
    key: DeviceKey


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """An authenticated device. Made by `serving.device_keys.authenticator` alone, from a live key."""

    key_id: str
    imei: str


class Period(NamedTuple):
    """When a device sat in a vehicle: milliseconds since the epoch, half-open."""

    start_ms: int
    end_ms: int

    def covers(self, time_ms: int) -> bool:
        """Whether a moment lies in it."""
        return self.start_ms <= time_ms < self.end_ms


@dataclass(frozen=True, slots=True)
class DeviceInVehicle:
    """Proof that a device is or was in a vehicle, and when. It gives no right to read anything."""

    imei: str
    vin: str
    periods: Sequence[Period]

    def covers(self, time_ms: int) -> bool:
        """Whether the device was in the vehicle at a moment."""
        return any(period.covers(time_ms) for period in self.periods)
