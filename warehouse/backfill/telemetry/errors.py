"""What refuses a load of telemetry as a whole; nothing of it is loaded then.

PistonError
├── ConfigurationError
│   ├── MappingError       the mapping file is not one
│   └── SourceError        there is nothing to read at the path
├── UnavailableError
│   └── PendingDaysError   days of the load lie in an offline archive; the others are loaded
└── ConflictError
    └── LostRowsError      ClickHouse holds another number of rows than were sent
"""

from telematics.errors import ConfigurationError, ConflictError, UnavailableError


class MappingError(ConfigurationError):
    """The mapping file says something that cannot be followed; the message names the entry."""


class SourceError(ConfigurationError):
    """The path names no file that telemetry can be read from."""


class PendingDaysError(UnavailableError):
    """Some days could not be merged now; the next call goes on with them."""


class LostRowsError(ConflictError):
    """What was staged is not what was sent; nothing was merged."""
