"""Device keys in TimescaleDB. A repository works on a connection; its owner commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from psycopg.rows import DictRow

from serving.device_keys.models import Period, StoredKey
from serving.partners.repository import Connection

_COLUMNS: Final = "key_id, imei, created_at, last_used_at, revoked_at"
_USE_KEPT_S: Final = 60
"""`last_used_at` is this exact: a write with every post would cost more than the post."""

# infinities do not fit in a Python datetime; milliseconds do, cut to the range of the hypertable
_PERIODS: Final = """
    select floor(extract(epoch from greatest(installed_at, '1970-01-01Z')) * 1000)::bigint as start_ms,
           floor(extract(epoch from least(removed_at, '2200-01-01Z')) * 1000)::bigint as end_ms
    from device_installations where imei = %s and vin = %s order by installed_at
"""


def _key(row: DictRow) -> StoredKey:
    return StoredKey(**row)


class DeviceKeyRepository:
    """Reads and writes `device_keys`. Rows are revoked, never deleted."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock_device(self, imei: str) -> str | None:
        """The status of a device, whose keys nobody else changes until the end of the transaction."""
        cursor = await self._connection.execute(
            "select status from devices where imei = %s for no key update", [imei]
        )
        row = await cursor.fetchone()
        return None if row is None else row["status"]

    async def live_count(self, imei: str) -> int:
        """Keys of a device that are not revoked."""
        cursor = await self._connection.execute(
            "select count(*) as live from device_keys where imei = %s and revoked_at is null", [imei]
        )
        row = await cursor.fetchone()
        return 0 if row is None else int(row["live"])

    async def insert(self, key: StoredKey, secret_hash: str) -> None:
        """Add a key."""
        await self._connection.execute(
            "insert into device_keys (key_id, imei, secret_hash, created_at) values (%s, %s, %s, %s)",
            [key.key_id, key.imei, secret_hash, key.created_at],
        )

    async def revoke(self, key_id: str, at: datetime) -> StoredKey | None:
        """End a key, if it has not ended before; returns it, None where there is none."""
        cursor = await self._connection.execute(
            "update device_keys set revoked_at = coalesce(revoked_at, %s) where key_id = %s"
            f" returning {_COLUMNS}",
            [at, key_id],
        )
        row = await cursor.fetchone()
        return None if row is None else _key(row)

    async def all(self, imei: str | None) -> list[StoredKey]:
        """Keys of a device or of all, revoked ones too."""
        cursor = await self._connection.execute(
            f"select {_COLUMNS} from device_keys where %(imei)s::text is null or imei = %(imei)s"
            " order by imei, created_at, key_id",
            {"imei": imei},
        )
        return [_key(row) for row in await cursor.fetchall()]

    async def find_live(self, key_id: str) -> tuple[str, str] | None:
        """IMEI and secret hash of a key that is not revoked and whose device is in service."""
        cursor = await self._connection.execute(
            "select k.imei, k.secret_hash from device_keys as k join devices as d using (imei)"
            " where k.key_id = %s and k.revoked_at is null and d.status = 'active'",
            [key_id],
        )
        row = await cursor.fetchone()
        return None if row is None else (row["imei"], row["secret_hash"])

    async def note_use(self, key_id: str, at: datetime) -> None:
        """Note that a key was used, to the minute."""
        await self._connection.execute(
            "update device_keys set last_used_at = %(at)s where key_id = %(key_id)s and (last_used_at is null"
            " or last_used_at < %(at)s - make_interval(secs => %(kept)s))",
            {"at": at, "key_id": key_id, "kept": _USE_KEPT_S},
        )

    async def periods(self, imei: str, vin: str) -> Sequence[Period]:
        """When a device sat in a vehicle, oldest first."""
        cursor = await self._connection.execute(_PERIODS, [imei, vin])
        return [Period(row["start_ms"], row["end_ms"]) for row in await cursor.fetchall()]
