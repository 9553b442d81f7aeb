"""What an operator does with device keys. Each call is one step of the caller's transaction."""

from typing import Final

from serving.device_keys import secrets
from serving.device_keys.models import MadeKey, StoredKey
from serving.device_keys.repository import DeviceKeyRepository
from serving.partners.repository import Connection, write_audit
from telematics.clock import Clock, utc_now
from telematics.errors import ConfigurationError, ConflictError, NotFoundError

MAX_LIVE_KEYS: Final = 2
"""Enough to rotate without a gap: add the second, move the device to it, revoke the first."""


class DeviceKeyService:
    """Makes, lists and revokes keys; every change leaves an audit row."""

    def __init__(self, connection: Connection, *, actor: str, clock: Clock = utc_now) -> None:
        self._connection = connection
        self._keys = DeviceKeyRepository(connection)
        self._actor = actor
        self._clock = clock

    async def add(self, imei: str) -> MadeKey:
        """Make a key for a device.

        Raises:
            NotFoundError: no device in service has this IMEI.
            ConflictError: it has as many live keys as it may.
        """
        if await self._keys.lock_device(imei) != "active":
            message = "no device in service has this IMEI; `piston device add IMEI --vin VIN` registers one"
            raise NotFoundError(message)
        if await self._keys.live_count(imei) >= MAX_LIVE_KEYS:
            message = (
                f"the device has {MAX_LIVE_KEYS} live keys already; see `piston device key list IMEI` and "
                "revoke one"
            )
            raise ConflictError(message)
        key = secrets.new_key()
        stored = StoredKey(key.key_id, imei, self._clock(), None, None)
        await self._keys.insert(stored, secrets.hash_secret(key.secret))
        await self._audit("device_key.added", stored)
        return MadeKey(stored, key)

    async def revoke(self, key_id: str) -> StoredKey:
        """End a key with its next request. Idempotent.

        Raises:
            ConfigurationError: the text is no key's id.
            NotFoundError: there is no such key.
        """
        if not secrets.is_key_id(key_id):
            message = "a key's id looks like pdk_ and twenty letters; `piston device key list` shows them"
            raise ConfigurationError(message)
        now = self._clock()
        stored = await self._keys.revoke(key_id, now)
        if stored is None:
            message = "there is no key with this id; `piston device key list` shows them"
            raise NotFoundError(message)
        if stored.revoked_at == now:
            await self._audit("device_key.revoked", stored)
        return stored

    async def list_all(self, imei: str | None = None) -> list[StoredKey]:
        """Every key, of one device or of all; secrets are not kept and so cannot be shown."""
        return await self._keys.all(imei)

    async def _audit(self, action: str, key: StoredKey) -> None:
        detail: dict[str, object] = {"key_id": key.key_id}
        await write_audit(self._connection, self._actor, action, f"device:{key.imei}", detail, self._clock())
