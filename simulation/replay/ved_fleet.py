"""The one table from VED's vehicle numbers to IMEI and VIN.

Both come from ranges that no real device or car has (`ingest.registry.ranges`). The table is a rule, so that
any of the data set's 383 vehicles can be replayed. The recordings name neither make, model nor model year:
the registry keeps them null, and the VIN's year letter is that of the first recording year (H, 2017).

| VehId | IMEI | VIN |
|---|---|---|
| 455 | 001017110004555 | 0VEANNAR?HA000455 (? is the check digit) |
"""

from dataclasses import dataclass
from typing import Final

from ingest.registry.models import Family, NewDevice
from telematics.errors import ConfigurationError
from telematics.imei import luhn_digit
from telematics.names import Origin
from telematics.vin import with_check_digit

_TYPE_ALLOCATION_CODE: Final = "00101711"
"""Reporting body 00, test equipment; 1711 for November 2017, when the recordings begin."""
_VIN_HEAD: Final = "0VEANNAR"
"""Reserved manufacturer code, and Ann Arbor for a descriptor."""
_MODEL_YEAR_AND_PLANT: Final = "HA"
_MAX_VEHICLE_ID: Final = 999_999


@dataclass(frozen=True, slots=True)
class VedVehicle:
    """A recorded vehicle under the names that the system knows it by."""

    vehicle_id: int
    imei: str
    vin: str

    def as_new_device(self) -> NewDevice:
        """What the registry needs; family OBD, because the recordings were made at the OBD port."""
        return NewDevice(self.imei, self.vin, Family.OBD, Origin.RECORDED)


def ved_vehicle(vehicle_id: int) -> VedVehicle:
    """IMEI and VIN of a recorded vehicle.

    Raises:
        ConfigurationError: the number has more than six digits or is negative.
    """
    if not 0 <= vehicle_id <= _MAX_VEHICLE_ID:
        message = f"VED vehicle {vehicle_id}: numbers run from 0 to {_MAX_VEHICLE_ID}"
        raise ConfigurationError(message)
    body = f"{_TYPE_ALLOCATION_CODE}{vehicle_id:06d}"
    vin = with_check_digit(f"{_VIN_HEAD}0{_MODEL_YEAR_AND_PLANT}{vehicle_id:06d}")
    return VedVehicle(vehicle_id, body + luhn_digit(body), vin)
