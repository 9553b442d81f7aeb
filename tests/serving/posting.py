"""What posts need, in memory: device keys, the stream, remembered requests, the command queue."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from ingest.commands.models import CommandRead, CommandStatus
from serving.consent.gate import VehicleAccess
from serving.device_keys.models import DeviceIdentity, DeviceInVehicle, Period
from serving.idempotency.models import Claim, Remembered
from serving.problems.errors import UnauthenticatedError, VehicleNotFoundError
from serving.stores import StoreUnavailableError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Outage:
    """Fails the readers that are told to."""

    def __init__(self) -> None:
        self.is_on = False

    def check(self) -> None:
        if self.is_on:
            message = "a store does not answer"
            raise StoreUnavailableError(message)


@dataclass
class Devices:
    """Device keys and where their devices sat."""

    outage: Outage
    keys: dict[str, str] = field(default_factory=dict)
    periods: dict[tuple[str, str], list[Period]] = field(default_factory=dict)

    async def authenticate(self, key: str) -> DeviceIdentity:
        self.outage.check()
        if key not in self.keys:
            message = "unknown"
            raise UnauthenticatedError(message)
        return DeviceIdentity(key[:24], self.keys[key])

    async def open(self, device: DeviceIdentity, vin: str) -> DeviceInVehicle:
        self.outage.check()
        found = self.periods.get((device.imei, vin))
        if not found:
            raise VehicleNotFoundError
        return DeviceInVehicle(device.imei, vin, found)


@dataclass
class Log:
    """What would be in the topic: (key, value, headers) of flights that landed."""

    is_down: bool = False
    landed_messages: list[tuple[bytes, bytes, Any]] = field(default_factory=list)
    holds: asyncio.Event | None = None
    """Set: flights wait for it before they land."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """A flight waits."""

    def begin(self) -> "LogFlight":
        return LogFlight(self)


@dataclass
class LogFlight:
    log: Log
    messages: list[tuple[bytes, bytes, Any]] = field(default_factory=list)

    async def send(self, key: bytes, value: bytes, headers: Any) -> None:
        self.messages.append((key, value, headers))

    async def landed(self) -> None:
        if self.log.holds is not None:
            self.log.reached.set()
            await self.log.holds.wait()
        if self.log.is_down:
            message = "Kafka did not confirm"
            raise StoreUnavailableError(message)
        self.log.landed_messages += self.messages


@dataclass
class Requests:
    """Remembered requests; None while one runs."""

    outage: Outage
    stored: dict[tuple[str, str], Remembered | None] = field(default_factory=dict)

    async def claim(self, client: str, key: str) -> Claim | Remembered | None:
        self.outage.check()
        if (client, key) in self.stored:
            return self.stored[client, key]
        self.stored[client, key] = None
        return Claim(client, key, NOW)

    async def settle(self, claim: Claim, fingerprint: str, status: int, body: Any) -> None:
        self.outage.check()
        self.stored[claim.client, claim.key] = Remembered(fingerprint, status, body)

    async def release(self, claim: Claim) -> None:
        del self.stored[claim.client, claim.key]


@dataclass
class Commands:
    """A queue of commands, and the trackers in the vehicles."""

    outage: Outage
    requests: Requests
    imeis: dict[str, list[str]] = field(default_factory=dict)
    queued: dict[UUID, tuple[str, CommandRead]] = field(default_factory=dict)

    async def devices(self, access: VehicleAccess) -> list[str]:
        self.outage.check()
        return self.imeis.get(access.vin, [])

    async def enqueue(
        self, access: VehicleAccess, command: Any, claim: Claim, fingerprint: str, status: int, document: Any
    ) -> dict[str, Any] | None:
        read = CommandRead(
            command_id=uuid4(),
            imei=command.imei,
            codec=command.codec,
            text=command.text,
            status=CommandStatus.QUEUED,
            requested_by=command.requested_by,
            created_at=NOW,
            expires_at=NOW + timedelta(seconds=command.lifetime_s),
            sent_at=None,
            answered_at=None,
            answer=None,
            attempts=0,
        )
        self.queued[read.command_id] = access.vin, read
        await self.requests.settle(claim, fingerprint, status, document(read))
        answer: dict[str, Any] = document(read)
        return answer

    async def read(self, access: VehicleAccess, command_id: UUID) -> CommandRead | None:
        self.outage.check()
        vin, read = self.queued.get(command_id, (None, None))
        return read if vin == access.vin else None
