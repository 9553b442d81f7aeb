"""Queues commands to a vehicle's tracker and tells what became of them."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from ingest.commands.models import NewCommand
from serving.consent.gate import VehicleAccess
from serving.idempotency.models import Remembered
from serving.idempotency.service import IdempotencyStore, claimed
from serving.problems.errors import CommandNotFoundError, IdempotencyKeyReusedError, NoDeviceError
from serving.vehicles.commands.repository import CommandQueue, requested_by
from serving.vehicles.commands.schemas import CommandWrite, command_document

STATUS: Final = 202


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """A command's document."""

    body: dict[str, Any]
    is_repeated: bool
    """It was given before."""


class CommandService:
    """Queues and reads commands."""

    def __init__(self, queue: CommandQueue, idempotency: IdempotencyStore) -> None:
        self._queue = queue
        self._idempotency = idempotency

    async def enqueue(self, access: VehicleAccess, key: str, asked: CommandWrite) -> CommandAnswer:
        """Queue a command for the one tracker in the vehicle.

        Raises:
            IdempotencyKeyInUseError: another request with the key is running.
            IdempotencyKeyReusedError: the key named another request before.
            NoDeviceError: there is no tracker in the vehicle now, or more than one.
            StoreUnavailableError: the queue does not answer.
        """
        fingerprint = _fingerprint(access, asked)
        async with claimed(self._idempotency, requested_by(access), key) as found:
            if isinstance(found, Remembered):
                if found.fingerprint != fingerprint:
                    raise IdempotencyKeyReusedError
                return CommandAnswer(found.body, is_repeated=True)
            command = NewCommand(
                await self._device(access), asked.command, requested_by(access), lifetime_s=asked.expires_in_s
            )
            answer = await self._queue.enqueue(access, command, found, fingerprint, STATUS, command_document)
            if answer is None:
                raise NoDeviceError(_NONE)
        return CommandAnswer(answer, is_repeated=False)

    async def read(self, access: VehicleAccess, command_id: UUID) -> dict[str, Any]:
        """A command of this partner to this vehicle.

        Raises:
            CommandNotFoundError: there is none with this id.
            StoreUnavailableError: the queue does not answer.
        """
        read = await self._queue.read(access, command_id)
        if read is None:
            raise CommandNotFoundError
        return command_document(read)

    async def _device(self, access: VehicleAccess) -> str:
        imeis = await self._queue.devices(access)
        if len(imeis) != 1:
            raise NoDeviceError(_SEVERAL if imeis else _NONE)
        return imeis[0]


_NONE: Final = "There is no tracker in this vehicle now, so there is nobody to tell."
_SEVERAL: Final = "There are several trackers in this vehicle, and a command is for one; ask the operator."


def _fingerprint(access: VehicleAccess, asked: CommandWrite) -> str:
    words = ["command", access.vin, asked.command, asked.expires_in_s]
    return hashlib.sha256(orjson.dumps(words)).hexdigest()
