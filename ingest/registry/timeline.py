"""Which vehicle a device sat in at a given time, as pure data.

Intervals are half-open, in milliseconds since the epoch, and never overlap for one device (the database
holds that with an exclusion constraint). Open ends are the two constants below, so that lookups compare
plain integers.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from telematics.names import OdometerSource, Origin

SINCE_EVER_MS: Final = -(2**63)
"""Start of an installation whose beginning nobody knows (`-infinity` in PostgreSQL)."""
UNTIL_FOREVER_MS: Final = 2**63 - 1
"""End of an installation that still lasts (`infinity` in PostgreSQL)."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One device in one vehicle from `start_ms` (included) to `end_ms` (excluded)."""

    installation_id: int
    imei: str
    vin: str
    origin: Origin
    start_ms: int
    end_ms: int
    odometer_source: OdometerSource | None
    """The one odometer that feeds `telemetry.odometer`; None until the sink has chosen it."""


class InstallationTimeline:
    """All installations of a set of devices; immutable, so a refresh is a new timeline."""

    def __init__(self, families: Mapping[str, str], installations: Iterable[Installation]) -> None:
        """A timeline of the devices in `families` (IMEI → Teltonika family) and their installations."""
        grouped: defaultdict[str, list[Installation]] = defaultdict(list)
        for installation in installations:
            grouped[installation.imei].append(installation)
        self._families = dict(families)
        self._installations = {
            imei: tuple(sorted(group, key=lambda item: item.start_ms)) for imei, group in grouped.items()
        }
        self._starts = {
            imei: [item.start_ms for item in group] for imei, group in self._installations.items()
        }

    def __contains__(self, imei: str) -> bool:
        return imei in self._families

    def __len__(self) -> int:
        return len(self._families)

    def family(self, imei: str) -> str | None:
        """Teltonika family that keys the AVL id dictionary; None if the device is not in the timeline."""
        return self._families.get(imei)

    def installations(self, imei: str) -> tuple[Installation, ...]:
        """The device's installations, oldest first; empty if it has none."""
        return self._installations.get(imei, ())

    def revision(self, imei: str) -> object:
        """Itself, because it never changes."""
        return self

    def at(self, imei: str, time_ms: int) -> Installation | None:
        """The installation that holds at a moment; None between installations or for an unknown device."""
        starts = self._starts.get(imei)
        if not starts:
            return None
        index = bisect_right(starts, time_ms) - 1
        if index < 0:
            return None
        installation = self._installations[imei][index]
        return installation if time_ms < installation.end_ms else None
