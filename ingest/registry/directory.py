"""Which IMEIs may log in, for the gateway: answered from memory, looked up when not there.

An IMEI that is not known is looked up at once, so that `piston device add` takes effect at the device's
next try. Look-ups of all connections are gathered into one query at a time, at most one every
`gather_s`: a flood of unknown IMEIs costs the database a bounded number of queries and the gateway no
memory beyond the connections that ask. Now and then the whole set is read again, so that retired devices
stay out from their next login on.

When the database is down, known devices go on and unknown ones get `Admission.UNAVAILABLE`: not refused,
because nobody knows, but asked to come again.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from typing import Final, Protocol

import psycopg
import structlog

from ingest.registry.repository import Connection, active_imeis, connect
from telematics.errors import UnavailableError
from telematics.settings import Settings

log = structlog.get_logger()

_QUIET_S: Final = 10.0
"""One line in this time says that the registry is down: waiting devices ask twenty times a second."""


class Admission(Enum):
    """What the registry says about an IMEI."""

    ACTIVE = auto()
    UNKNOWN = auto()
    UNAVAILABLE = auto()
    """The registry does not answer: neither yes nor no."""


class ImeiSource(Protocol):
    """Reads active IMEIs; called in a thread, one call at a time."""

    def __call__(self, among: Collection[str] | None) -> frozenset[str]:
        """Active IMEIs, all or those of `among`.

        Raises:
            UnavailableError: the registry does not answer.
        """

    def close(self) -> None:
        """Let go of the connection."""


class RegistryImeis:
    """An `ImeiSource` over PostgreSQL with a connection of its own, opened anew when it broke."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    def __call__(self, among: Collection[str] | None) -> frozenset[str]:
        """Active IMEIs, all or those of `among`.

        Raises:
            UnavailableError: the database does not answer.
        """
        if self._connection is not None:
            try:
                return active_imeis(self._connection, among)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # The server restarted, or the connection died of old age: worth one fresh try.
                self.close()
        self._connection = connect(self._settings, "gateway")
        try:
            self._connection.autocommit = True
            self._connection.execute("set statement_timeout = '5s'")
            return active_imeis(self._connection, among)
        except psycopg.Error as error:
            # Whatever it is (tables not there yet, too slow, no rights), it says nothing about the device.
            self.close()
            message = f"the registry of devices does not answer: {type(error).__name__}"
            raise UnavailableError(message) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class DeviceDirectory:
    """The set of IMEIs that may log in, kept fresh by `run`."""

    def __init__(self, source: ImeiSource, refresh_s: float = 30.0, gather_s: float = 0.05) -> None:
        self._source = source
        self._refresh_s = refresh_s
        self._gather_s = gather_s
        self._known: frozenset[str] = frozenset()
        self._asked: dict[str, list[Callable[[Admission], None]]] = {}
        self._wanted = asyncio.Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="registry")
        self._quiet_until = 0.0
        self._silent = 0

    def __len__(self) -> int:
        return len(self._known)

    def knows(self, imei: str) -> bool:
        """Whether the IMEI is known to be active; False says nothing: `look_up` does."""
        return imei in self._known

    def look_up(self, imei: str, verdict: Callable[[Admission], None]) -> None:
        """Ask the registry; `verdict` is called in the loop, later."""
        self._asked.setdefault(imei, []).append(verdict)
        self._wanted.set()

    async def run(self) -> None:
        """Answer look-ups and refresh the set until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            refresh_at = loop.time()
            while True:
                if loop.time() >= refresh_at:
                    await self._refresh()
                    refresh_at = loop.time() + self._refresh_s
                try:
                    async with asyncio.timeout_at(refresh_at):
                        await self._wanted.wait()
                except TimeoutError:
                    continue
                await asyncio.sleep(self._gather_s)
                await self._answer()
        finally:
            # psycopg connections close in no time; a query under way has its statement timeout
            self._executor.submit(self._source.close)
            self._executor.shutdown(wait=False)

    async def _refresh(self) -> None:
        try:
            self._known = await self._read(None)
        except UnavailableError as error:
            self._complain(error)

    async def _answer(self) -> None:
        asked, self._asked = self._asked, {}
        self._wanted.clear()
        try:
            found = await self._read(frozenset(asked))
        except UnavailableError as error:
            self._complain(error)
            self._tell(asked, lambda _imei: Admission.UNAVAILABLE)
            return
        self._known |= found
        self._tell(asked, lambda imei: Admission.ACTIVE if imei in found else Admission.UNKNOWN)

    def _complain(self, error: UnavailableError) -> None:
        now = time.monotonic()
        if now < self._quiet_until:
            self._silent += 1
            return
        log.warning(
            "registry.unavailable",
            known_devices=len(self._known),
            repeated=self._silent,
            reason=str(error),
        )
        self._quiet_until, self._silent = now + _QUIET_S, 0

    async def _read(self, among: Collection[str] | None) -> frozenset[str]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._source, among)

    @staticmethod
    def _tell(
        asked: dict[str, list[Callable[[Admission], None]]], admission: Callable[[str], Admission]
    ) -> None:
        for imei, verdicts in asked.items():
            for verdict in verdicts:
                verdict(admission(imei))
