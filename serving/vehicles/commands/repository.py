"""The command queue in TimescaleDB, as far as a partner may see it."""

from collections.abc import Callable
from typing import Any, Final, Protocol
from uuid import UUID

from psycopg import OperationalError

from ingest.commands.models import CommandRead, NewCommand
from ingest.commands.repository import ENQUEUE, READ, command_read, enqueue_parameters
from serving.consent.gate import VehicleAccess
from serving.idempotency.models import Claim
from serving.idempotency.repository import IdempotencyRepository
from serving.partners.directory import Pool
from serving.partners.repository import write_audit
from serving.stores import answering
from serving.vehicles.commands.rows import fetch_row
from telematics.clock import utc_now

_DEVICES: Final = """
    select i.imei from device_installations as i join devices as d using (imei)
    where i.vin = %s and i.installed_at <= now() and now() < i.removed_at and d.status = 'active'
    order by i.imei
"""
# the tracker was in this vehicle when the partner asked; where it went since is not the partner's business
_OF_PARTNER: Final = f"""
    {READ}
    where command_id = %s and requested_by = %s and exists (
        select from device_installations as i
        where i.imei = device_commands.imei and i.vin = %s
          and i.installed_at <= device_commands.created_at and device_commands.created_at < i.removed_at
    )
"""


def requested_by(access: VehicleAccess) -> str:
    """How the queue names a partner."""
    return f"partner:{access.client_id}"


class CommandQueue(Protocol):
    """Keeps commands until a gateway sends them."""

    async def devices(self, access: VehicleAccess) -> list[str]:
        """IMEIs of the trackers in the vehicle now.

        Raises:
            StoreUnavailableError: the queue does not answer.
        """

    async def enqueue(
        self,
        access: VehicleAccess,
        command: NewCommand,
        claim: Claim,
        fingerprint: str,
        status: int,
        document: Callable[[CommandRead], dict[str, Any]],
    ) -> dict[str, Any] | None:
        """Queue a command and remember the answer under its key, both or neither.

        Returns:
            The document of the command; None where its device went out of service.

        Raises:
            StoreUnavailableError: the queue does not answer.
        """

    async def read(self, access: VehicleAccess, command_id: UUID) -> CommandRead | None:
        """A command that this partner sent to this vehicle.

        Raises:
            StoreUnavailableError: the queue does not answer.
        """


class StoredCommands:
    """The queue in TimescaleDB."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def devices(self, access: VehicleAccess) -> list[str]:
        """See `CommandQueue`."""
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            cursor = await connection.execute(_DEVICES, [access.vin])
            return [row["imei"] for row in await cursor.fetchall()]

    async def enqueue(
        self,
        access: VehicleAccess,
        command: NewCommand,
        claim: Claim,
        fingerprint: str,
        status: int,
        document: Callable[[CommandRead], dict[str, Any]],
    ) -> dict[str, Any] | None:
        """See `CommandQueue`."""
        async with (
            answering("TimescaleDB", OperationalError),
            self._pool.connection() as connection,
            connection.transaction(),
        ):
            queued = await fetch_row(connection, ENQUEUE, enqueue_parameters(command))
            if queued is None:
                return None
            row = await fetch_row(connection, f"{READ} where command_id = %s", (queued[0],))
            assert row is not None  # noqa: S101 - this transaction wrote it
            answer = document(command_read(row))
            detail = {"command": command.text, "command_id": str(queued[0])}
            await write_audit(
                connection,
                requested_by(access),
                "device.commanded",
                f"device:{command.imei}",
                detail,
                utc_now(),
            )
            await IdempotencyRepository(connection).settle(claim, fingerprint, status, answer)
            return answer

    async def read(self, access: VehicleAccess, command_id: UUID) -> CommandRead | None:
        """See `CommandQueue`."""
        parameters = (command_id, requested_by(access), access.vin)
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            row = await fetch_row(connection, _OF_PARTNER, parameters)
        return None if row is None else command_read(row)
