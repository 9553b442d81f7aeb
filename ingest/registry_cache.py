"""The registry as a consumer of frames sees it: the devices of its batches, read anew every few seconds.

A device that is not registered is never remembered as such, so that the first frame after `piston device add`
finds it; asking again costs two index look-ups a batch. A changed installation of a known device shows after
`lifetime_s` at the latest.
"""

import time
from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol

import psycopg

from ingest.registry.repository import Connection, connect, load_timeline
from ingest.registry.timeline import Installation, InstallationTimeline
from ingest.stream.messages import RawMessage
from telematics.errors import UnavailableError
from telematics.imei import is_key
from telematics.settings import Settings

LIFETIME_S: Final = 5.0

LoadTimeline = Callable[[Collection[str]], InstallationTimeline]


class Registry(Protocol):
    """What rows need to know about devices; `ingest.registry.timeline.InstallationTimeline` knows it."""

    def family(self, imei: str) -> str | None:
        """Teltonika family of a device; None if it is not registered."""

    def at(self, imei: str, time_ms: int) -> Installation | None:
        """The installation that holds at a moment."""

    def installations(self, imei: str) -> tuple[Installation, ...]:
        """All installations of a device, oldest first."""

    def revision(self, imei: str) -> object:
        """Stays one and the same object as long as the registry says the same about a device."""


def imeis_of(messages: Iterable[RawMessage]) -> set[str]:
    """The devices whose frames these are, by the messages' keys."""
    keys = {message.key() for message in messages}
    return {key.decode("ascii") for key in keys if is_key(key)}


class RegistryCache:
    """Families and installations of the devices seen so far."""

    def __init__(
        self,
        load: LoadTimeline,
        lifetime_s: float = LIFETIME_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A cache over `load`, which reads the given devices from the registry."""
        self._load = load
        self._lifetime_s = lifetime_s
        self._monotonic = monotonic
        self._devices: dict[str, tuple[float, InstallationTimeline]] = {}

    def refresh(self, imeis: Iterable[str]) -> None:
        """Make sure that what is known about these devices is younger than the lifetime.

        Raises:
            UnavailableError: the registry cannot be read.
        """
        now = self._monotonic()
        oldest = now - self._lifetime_s
        stale = {imei for imei in imeis if (known := self._devices.get(imei)) is None or known[0] <= oldest}
        if not stale:
            return
        timeline = self._load(stale)
        for imei in stale:
            if imei in timeline:
                self._devices[imei] = now, timeline
            else:
                self._devices.pop(imei, None)

    def knows(self, imeis: Iterable[str]) -> bool:
        """Whether all these devices were read at some time, however long ago."""
        return all(imei in self._devices for imei in imeis)

    def forget(self) -> None:
        """Read everything anew at the next `refresh`."""
        self._devices.clear()

    def family(self, imei: str) -> str | None:
        """Teltonika family of a device; None if it is not registered."""
        known = self._devices.get(imei)
        return None if known is None else known[1].family(imei)

    def at(self, imei: str, time_ms: int) -> Installation | None:
        """The installation that holds at a moment."""
        known = self._devices.get(imei)
        return None if known is None else known[1].at(imei, time_ms)

    def installations(self, imei: str) -> tuple[Installation, ...]:
        """All installations of a device, oldest first; empty if it is not registered."""
        known = self._devices.get(imei)
        return () if known is None else known[1].installations(imei)

    def revision(self, imei: str) -> object:
        """What was read of a device; reading it again gives another object. None: it is not registered."""
        known = self._devices.get(imei)
        return None if known is None else known[1]


class RegistryReader:
    """Reads the registry over a connection of its own, made when needed and thrown away after a failure."""

    def __init__(self, settings: Settings, application: str) -> None:
        """A reader; `application` names its connection in pg_stat_activity."""
        self._settings = settings
        self._application = application
        self._connection: Connection | None = None

    def load(self, imeis: Collection[str]) -> InstallationTimeline:
        """Families and installations of these devices as they are registered now.

        Raises:
            UnavailableError: TimescaleDB does not answer.
        """
        try:
            if self._connection is None:
                self._connection = connect(self._settings, self._application)
                self._connection.autocommit = True
            return load_timeline(self._connection, imeis)
        except psycopg.OperationalError as error:
            self.close()
            message = f"TimescaleDB does not tell the registry now (SQLSTATE {error.sqlstate or 'none'})"
            raise UnavailableError(message) from error

    def close(self) -> None:
        """End the connection; the next `load` makes another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
