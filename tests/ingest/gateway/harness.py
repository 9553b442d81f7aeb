"""A gateway on a loopback port with a producer whose deliveries the test decides."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from ingest.commands.dispatcher import CommandDispatcher
from ingest.commands.models import Command
from ingest.commands.store import Outcome, Turn
from ingest.gateway.flights import Flight
from ingest.gateway.limits import Limits
from ingest.gateway.listening import open_tcp, open_udp
from ingest.gateway.server import Gateway
from ingest.registry.directory import DeviceDirectory
from ingest.stream.messages import Headers
from telematics.errors import UnavailableError

NOW_MS = 1_760_000_000_123
KNOWN = "356307042441013"
ALSO_KNOWN = "356307042441021"
UNKNOWN = "356307042441039"
SOON_S = 3.0
"""Longest wait for what has to happen; nothing waits for it to pass."""


class Sent(NamedTuple):
    key: bytes
    value: bytes
    headers: Headers
    token: Flight
    topic: str | None


class ScriptedProducer:
    """Takes frames and reports on them when told to, or at once with `is_prompt`."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.room: int | None = None
        self.is_prompt = False
        self.is_closed = False
        self._open: list[Sent] = []
        self._deliver: Callable[[Sequence[tuple[Flight, bool]]], None] = lambda _reports: None

    def start(self, deliver: Callable[[Sequence[tuple[Flight, bool]]], None]) -> None:
        self._deliver = deliver

    def send(
        self, key: bytes, value: bytes, headers: Headers, token: Flight, topic: str | None = None
    ) -> bool:
        if self.room is not None and len(self._open) >= self.room:
            return False
        message = Sent(key, value, headers, token, topic)
        self.sent.append(message)
        self._open.append(message)
        if self.is_prompt:
            asyncio.get_running_loop().call_soon(self.report)
        return True

    def report(self, *indexes: int, is_durable: bool = True) -> None:
        """Report on the open messages with these indexes, in this order; on all of them by default."""
        chosen = [self._open[index] for index in indexes] if indexes else list(self._open)
        for message in chosen:
            self._open.remove(message)
        self._deliver([(message.token, is_durable) for message in chosen])

    async def flush(self, timeout_s: float) -> int:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._open:  # noqa: ASYNC110 - a test polls
                    await asyncio.sleep(0.005)
        return len(self._open)

    async def close(self) -> None:
        self.is_closed = True
        if self._open:
            self.report(is_durable=False)


class FakeRegistry:
    """Active IMEIs in memory; can be down."""

    def __init__(self) -> None:
        self.active = {KNOWN, ALSO_KNOWN}
        self.is_down = False
        self.questions: list[frozenset[str] | None] = []

    def __call__(self, among: Collection[str] | None) -> frozenset[str]:
        self.questions.append(None if among is None else frozenset(among))
        if self.is_down:
            message = "down"
            raise UnavailableError(message)
        return frozenset(self.active if among is None else self.active.intersection(among))

    def close(self) -> None:
        pass


class ScriptedCommands:
    """A command store in memory: claims are what the test put in `waiting`."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Command]] = {}
        self.turns: list[Turn] = []
        self.is_down = False
        self.is_closed = False

    def exchange(self, turn: Turn) -> Outcome:
        if self.is_down:
            message = "down"
            raise UnavailableError(message)
        self.turns.append(turn)
        claimed = [
            (owner, self.waiting[imei].pop(0)) for imei, owner in turn.ready.items() if self.waiting.get(imei)
        ]
        return Outcome(frozenset(imei for imei, queue in self.waiting.items() if queue), tuple(claimed))

    def close(self) -> None:
        self.is_closed = True


class Tracker:
    """A device's socket, driven by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self, count: int) -> bytes:
        async with asyncio.timeout(SOON_S):
            return await self._reader.readexactly(count)

    async def log_in(self, imei: str = KNOWN) -> None:
        self.send(b"\x00\x0f" + imei.encode())
        assert await self.receive(1) == b"\x01"

    async def hears_nothing(self, for_s: float = 0.05) -> bool:
        """Whether no byte arrives and the connection stays open."""
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await self._reader.read(1)
                return False
        return True

    async def until_closed(self) -> bytes:
        """What still arrives until the gateway closes."""
        async with asyncio.timeout(SOON_S):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    def vanish(self) -> None:
        """Reset the connection, as a device does that lost its power and came back."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.writer.transport.abort()

    async def hang_up(self) -> None:
        self.writer.close()
        with suppress(ConnectionResetError):
            await self.writer.wait_closed()


class Bench:
    """A gateway, its producer and registry, and trackers that connect to it."""

    def __init__(
        self, limits: Limits | None = None, *, quiet_s: float = 0.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.producer = ScriptedProducer()
        self.registry = FakeRegistry()
        self.commands = ScriptedCommands()
        self.gateway = Gateway(
            self.producer,
            DeviceDirectory(self.registry, gather_s=0.001),
            CommandDispatcher(self.commands, quiet_s=quiet_s, tick_s=0.01),
            limits or Limits(),
            clock_ms=lambda: NOW_MS,
            retry_s=0.05,
        )
        self.port = 0
        self.udp_port = 0
        self._tls = tls
        self._trackers: list[Tracker] = []
        self._is_drained = False

    async def __aenter__(self) -> Self:
        listening = open_tcp("127.0.0.1", 0, reuse_port=False)
        bound = open_udp("127.0.0.1", 0, reuse_port=False)
        self.port, self.udp_port = listening.getsockname()[1], bound.getsockname()[1]
        await self.gateway.listen(listening, self._tls)
        await self.gateway.listen_udp(bound)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker in self._trackers:
            await tracker.hang_up()
        if not self._is_drained:
            await self.drain(0.0)

    async def drain(self, timeout_s: float) -> None:
        self._is_drained = True
        await self.gateway.drain(timeout_s)

    async def connect(self) -> Tracker:
        tracker = Tracker(*await asyncio.open_connection("127.0.0.1", self.port))
        self._trackers.append(tracker)
        return tracker

    async def logged_in(self, imei: str = KNOWN) -> Tracker:
        tracker = await self.connect()
        await tracker.log_in(imei)
        return tracker

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON_S):
            while not condition():  # noqa: ASYNC110 - a test polls
                await asyncio.sleep(0.002)

    async def until_sent(self, count: int) -> None:
        await self.until(lambda: len(self.producer.sent) >= count)

    @property
    def refusals(self) -> dict[str, int]:
        return {str(reason): count for reason, count in self.gateway.stats.refusals.items()}
