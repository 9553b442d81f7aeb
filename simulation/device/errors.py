"""What ends a device's delivery.

PistonError
├── ColumnError            a value does not fit on the wire (`encoding`)
├── RecordTooLongError     one record does not fit in a packet (`packets`)
├── DeviceRefusedError     the gateway does not know the device: a ConflictError
└── GatewayAwayError       nobody answered for longer than the patience: an UnavailableError
"""

from telematics.errors import ConflictError, UnavailableError


class DeviceRefusedError(ConflictError):
    """The gateway answered the login with 00."""


class GatewayAwayError(UnavailableError):
    """The gateway cannot be reached or does not answer; what was acknowledged stays acknowledged."""
