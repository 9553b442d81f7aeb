"""Errors that end a command or a request with a sentence.

PistonError
├── ConfigurationError   a setting is wrong, and the message names it
├── UnavailableError     a server cannot be reached now; trying again later may help
├── ConflictError        what was asked contradicts what is stored
└── NotFoundError        what was asked for does not exist

Packages derive their own from these. Each message says what happened, where, and what to do.
"""


class PistonError(Exception):
    """Root of every error that Piston raises on purpose; `exit_code` is what a command ends with."""

    exit_code = 1


class ConfigurationError(PistonError):
    """A setting or an argument is wrong: nothing was changed, and trying again unchanged cannot help."""

    exit_code = 2


class UnavailableError(PistonError):
    """A server is not to be reached: transient, trying again later may help."""

    exit_code = 3


class ConflictError(PistonError):
    """The request contradicts what is stored."""

    exit_code = 4


class NotFoundError(PistonError):
    """The thing named does not exist."""

    exit_code = 5
