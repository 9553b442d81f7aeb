"""What the registry takes in and gives out."""

from dataclasses import dataclass
from datetime import datetime

from telematics import imei as imei_form
from telematics import vin as vin_form
from telematics.avl.dictionary import Family as Family
from telematics.errors import ConfigurationError
from telematics.names import Origin


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device to register, installed in a vehicle.

    Raises:
        ConfigurationError: IMEI, VIN, date or model year have not the form they need.
    """

    imei: str
    vin: str
    family: Family = Family.F
    origin: Origin = Origin.LIVE
    since: datetime | None = None
    """Aware; start of the installation. None: since ever."""
    make: str | None = None
    model: str | None = None
    model_year: int | None = None

    def __post_init__(self) -> None:
        if imei_form.parse(self.imei) != self.imei or vin_form.parse(self.vin) != self.vin:
            message = "IMEI and VIN are registered without blanks, the VIN in capitals"
            raise ConfigurationError(message)
        if self.since is not None and self.since.tzinfo is None:
            message = "the start of an installation needs a time zone, for example 2026-01-31T00:00:00Z"
            raise ConfigurationError(message)
        if self.model_year is not None and not 1950 <= self.model_year <= 2100:
            message = f"model year {self.model_year} lies outside 1950 to 2100"
            raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class RegisteredDevice:
    """A device as `piston device list` shows it, with the installation that holds now."""

    imei: str
    family: Family
    status: str
    """`active` or `retired`; only active devices may log in."""
    vin: str | None
    origin: Origin | None
    since: datetime | None
    """Start of the present installation; None if since ever (or not installed: `vin` is None then)."""
    model: str | None = None
    """As the device itself named it (`getver`); None: it has not yet."""
    firmware: str | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registration changed."""

    added: int
    """Devices that are new or newly installed."""
    unchanged: int
    """Devices that were registered the very same way before."""
