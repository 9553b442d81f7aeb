"""Errors of orchestration.

PistonError
├── RunFailedError           a run of assets or checks failed
├── UndeliveredError         a webhook's receiver did not take an event
├── ConflictError
│   └── RefusedCandidateError    the gate refused a candidate; the champion stays
└── ConfigurationError       (telematics.errors) days that are no partitions, a taken port
"""

from telematics.errors import ConflictError, PistonError


class RunFailedError(PistonError):
    """A run of assets or checks failed; the message says where its log is."""


class RefusedCandidateError(ConflictError):
    """The candidate did not pass the gate; the champion stays what it is."""


class UndeliveredError(PistonError):
    """A webhook's receiver did not take an event.

    Attributes:
        is_final: it will not take this one later either.
    """

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final
