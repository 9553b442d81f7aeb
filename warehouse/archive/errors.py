"""Errors of the archive.

UnavailableError
└── StorageError          the object storage is away, full or slow; nothing was dropped, try again later
ConfigurationError        (telematics.errors) PISTON_ARCHIVE_… names no usable place
ConflictError
├── NotRestoredError      the day lies in an offline storage class and was not given back yet
├── DamagedError          what is stored is not what was archived; it is not served
└── ParityError           a freshly written file does not hold what ClickHouse holds; nothing was dropped
NotFoundError
└── MissingObjectError    the archive has no such object
"""

from datetime import date

from telematics.errors import ConflictError, NotFoundError, UnavailableError


class StorageError(UnavailableError):
    """The object storage does not answer, is full, or refuses for now."""


class MissingObjectError(NotFoundError):
    """The archive has no object of this key."""


class NotRestoredError(ConflictError):
    """Objects of these days must be restored before they can be read."""

    def __init__(self, days: tuple[date, ...]) -> None:
        named = ", ".join(day.isoformat() for day in days[:5]) + (" and more" if len(days) > 5 else "")
        super().__init__(
            f"{named}: archived in an offline storage class and not restored yet; "
            "run `piston archive restore DAY`, and again to see how far it is"
        )
        self.days = days


class OfflineError(ConflictError):
    """The object lies in an offline storage class. What knows the day says `NotRestoredError`."""


class DamagedError(ConflictError):
    """An archived file is not what its manifest and the ledger say."""


class ParityError(ConflictError):
    """File and ClickHouse hold different rows."""
