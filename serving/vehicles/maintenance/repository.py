"""A vehicle's newest predictions, as the warehouse published them in Redis."""

from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from serving.consent.gate import VehicleAccess
from serving.stores import answering
from serving.vehicles.scores import Maintenance, parse_scores
from telematics.names import scores_key


class MaintenanceReader(Protocol):
    """Reads predictions."""

    async def read(self, access: VehicleAccess) -> Maintenance | None:
        """The vehicle's newest predictions; None where no model has ever scored it.

        Raises:
            StoreUnavailableError: the predictions cannot be read.
        """


class StoredMaintenance:
    """Predictions in Redis."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    async def read(self, access: VehicleAccess) -> Maintenance | None:
        """See `MaintenanceReader`."""
        async with answering("Valkey", RedisError, OSError):
            stored = await self._redis.get(scores_key(access.vin))
        return parse_scores(stored).maintenance
