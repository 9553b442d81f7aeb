"""Errors of the sink.

PistonError
├── UnavailableError
│   └── StoreUnavailableError   TimescaleDB is down or busy; the same messages come again
├── ConflictError
│   ├── StreamMismatchError     the stored offsets belong to another cluster or another topic of that name
│   └── StreamGapError          messages between the stored offset and the next one are missing
└── SinkStoppedError            TimescaleDB refuses for a reason that waiting does not mend

Two more never leave the package: `FencedError` (another sink has moved the offsets) and `RowRefusedError`
(PostgreSQL does not take a row), which the sink answers itself.
"""

from telematics.errors import ConflictError, PistonError, UnavailableError


class StoreUnavailableError(UnavailableError):
    """TimescaleDB is down or busy: transient."""


class StreamMismatchError(ConflictError):
    """The stored offsets do not belong to this cluster or to this incarnation of the topic."""


class StreamGapError(ConflictError):
    """Messages are missing between what was stored last and what came next."""


class SinkStoppedError(PistonError):
    """TimescaleDB refused a statement for a reason that trying again does not mend."""


class FencedError(PistonError):
    """The offsets in TimescaleDB are no longer those that this sink wrote last: another sink took over."""


class RegistryChangedError(PistonError):
    """The registry is no longer as it was read; it has to be read again."""


class RowRefusedError(PistonError):
    """PostgreSQL refused rows; `sqlstate` says why (appendix A of its documentation)."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(f"PostgreSQL refused a row: SQLSTATE {sqlstate}")
        self.sqlstate = sqlstate
