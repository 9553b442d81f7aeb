"""Who posts a vehicle's readings, and whether it may."""

from dataclasses import dataclass

from ingest.stream.reading_form import Fault
from ingest.stream.readings import partner_device_id
from serving.consent.gate import VehicleAccess
from serving.device_keys.models import DeviceInVehicle


@dataclass(frozen=True, slots=True)
class ReadingSource:
    """A device in the vehicle, or a partner with consent to write."""

    device_id: str
    """IMEI, or `partner:{client_id}`: the message's key and the row's `device_id`."""
    vin: str
    device: DeviceInVehicle | None

    @classmethod
    def of_partner(cls, access: VehicleAccess) -> "ReadingSource":
        """A partner; the gate has checked token, partner and consent."""
        return cls(partner_device_id(access.client_id), access.vin, None)

    @classmethod
    def of_device(cls, device: DeviceInVehicle) -> "ReadingSource":
        """A device that is or was in the vehicle."""
        return cls(device.imei, device.vin, device)

    def find_fault(self, time_ms: int) -> Fault | None:
        """Why this source has nothing to say about the vehicle at a moment; None: it has."""
        if self.device is None or self.device.covers(time_ms):
            return None
        return Fault("/timestamp", "not_installed", "the device was not in this vehicle at that time")
