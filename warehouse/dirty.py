"""Which days changed after they were loaded (stub of the fixed signature)."""

from datetime import date

from telematics.settings import Settings


def dirty_days(settings: Settings, first: date | None = None, until: date | None = None) -> list[date]:
    """Days loaded once and written since, oldest first, within `first` (inclusive) to `until` (exclusive)."""
    raise NotImplementedError
