"""What refuses a folder as a whole; nothing of it is loaded then.

PistonError
├── ConfigurationError
│   └── FolderError          a file is missing, damaged, or not what its manifest or its columns ought to be
└── ConflictError
    └── VehicleOriginError   a vehicle of the folder is registered with another origin
"""

from telematics.errors import ConfigurationError, ConflictError


class FolderError(ConfigurationError):
    """The folder is not a whole history as `piston simulate fleet --out FOLDER` writes it."""


class VehicleOriginError(ConflictError):
    """A vehicle is registered with another origin; a vehicle keeps its origin."""
