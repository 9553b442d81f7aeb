"""What can go wrong with the local servers.

StackError
├── InstallError     a server's programs could not be brought to this machine
├── PreflightError   the machine lacks something the stack needs: a port, disk, memory, a reachable folder
├── StartError       a server was started and did not become healthy
└── ProbeError       a server does not answer, or the one that answers is not ours
"""

from telematics.errors import ConfigurationError, PistonError, UnavailableError


class StackError(PistonError):
    """Root of the stack's errors."""


class InstallError(StackError, UnavailableError):
    """Programs could not be fetched or unpacked; the message names what to install or to set."""

    exit_code = 3


class PreflightError(StackError, ConfigurationError):
    """Nothing was started; the message names the setting that helps."""

    exit_code = 2


class StartError(StackError, UnavailableError):
    """A server did not become healthy; the message names its log."""

    exit_code = 3


class ProbeError(StackError, UnavailableError):
    """One health check failed: transient while a server starts."""

    exit_code = 3
