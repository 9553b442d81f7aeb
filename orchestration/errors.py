"""Errors of orchestration.

PistonError
├── RunFailedError           a run of assets or checks failed
└── ConfigurationError       (telematics.errors) days that are no partitions, a taken port
"""

from telematics.errors import PistonError


class RunFailedError(PistonError):
    """A run of assets or checks failed; the message says where its log is."""
