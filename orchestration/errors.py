"""Errors of orchestration.

PistonError
├── RunFailedError           a run of assets or checks failed
├── ConflictError
│   └── RefusedCandidateError    the gate refused a candidate; the champion stays
└── ConfigurationError       (telematics.errors) days that are no partitions, a taken port
"""

from telematics.errors import ConflictError, PistonError


class RunFailedError(PistonError):
    """A run of assets or checks failed; the message says where its log is."""


class RefusedCandidateError(ConflictError):
    """The candidate did not pass the gate; the champion stays what it is."""
