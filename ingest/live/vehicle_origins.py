"""Origins of vehicles by VIN, for what partners post: no device leads to their vehicle."""

from collections.abc import Collection

import psycopg

from ingest.registry.repository import Connection, connect
from telematics.errors import UnavailableError
from telematics.names import Origin
from telematics.settings import Settings


class VehicleOrigins:
    """Reads origins over a connection of its own; one that was read is kept, since it never changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._known: dict[str, Origin] = {}

    def read(self, vins: Collection[str]) -> dict[str, Origin]:
        """VIN → origin of those vehicles that are registered.

        Raises:
            UnavailableError: TimescaleDB does not answer, and a vehicle was never read before.
        """
        missing = [vin for vin in vins if vin not in self._known]
        if missing:
            self._known |= self._load(missing)
        return {vin: self._known[vin] for vin in vins if vin in self._known}

    def close(self) -> None:
        """End the connection; the next `read` makes another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _load(self, vins: Collection[str]) -> dict[str, Origin]:
        try:
            if self._connection is None:
                self._connection = connect(self._settings, "live")
                self._connection.autocommit = True
            rows = self._connection.execute(
                "select vin, origin from vehicles where vin = any(%s)", (list(vins),)
            ).fetchall()
        except psycopg.OperationalError as error:
            self.close()
            message = f"TimescaleDB does not tell the vehicles now (SQLSTATE {error.sqlstate or 'none'})"
            raise UnavailableError(message) from error
        return {vin: Origin(origin) for vin, origin in rows}
