"""From an `X-API-Key` header to the device behind it, and on to the vehicle that it may post for."""

from typing import Protocol

from psycopg import OperationalError

from serving.device_keys import secrets
from serving.device_keys.models import DeviceIdentity, DeviceInVehicle
from serving.device_keys.repository import DeviceKeyRepository
from serving.partners.directory import Pool
from serving.problems.errors import UnauthenticatedError, VehicleNotFoundError
from serving.stores import answering
from telematics.clock import Clock, utc_now

_REFUSED = "The device key is unknown or revoked, or its device is retired."


class DeviceGate(Protocol):
    """Lets devices in."""

    async def authenticate(self, key: str) -> DeviceIdentity:
        """The device whose key this is.

        Raises:
            UnauthenticatedError: no live key reads like this.
            StoreUnavailableError: the keys cannot be read.
        """

    async def open(self, device: DeviceIdentity, vin: str) -> DeviceInVehicle:
        """When the device was in a vehicle.

        Raises:
            VehicleNotFoundError: never; an unknown vehicle cannot be told from another one's.
            StoreUnavailableError: the installations cannot be read.
        """


class StoredDeviceGate:
    """The gate over TimescaleDB, which is asked each time: a revoked key ends with the next request."""

    def __init__(self, pool: Pool, clock: Clock = utc_now) -> None:
        self._pool = pool
        self._clock = clock

    async def authenticate(self, key: str) -> DeviceIdentity:
        """See `DeviceGate`."""
        parsed = secrets.parse_key(key)
        if parsed is None:
            raise UnauthenticatedError(_REFUSED)
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            keys = DeviceKeyRepository(connection)
            found = await keys.find_live(parsed.key_id)
            if found is None or not secrets.matches(parsed.secret, found[1]):
                raise UnauthenticatedError(_REFUSED)
            await keys.note_use(parsed.key_id, self._clock())
        return DeviceIdentity(parsed.key_id, found[0])

    async def open(self, device: DeviceIdentity, vin: str) -> DeviceInVehicle:
        """See `DeviceGate`."""
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            periods = await DeviceKeyRepository(connection).periods(device.imei, vin)
        if not periods:
            raise VehicleNotFoundError
        return DeviceInVehicle(device.imei, vin, periods)
