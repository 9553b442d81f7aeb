"""The gateway: holds the device ports, shares one producer among them, drains when told to stop."""

import asyncio
import itertools
import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from ingest.commands.dispatcher import CommandDispatcher
from ingest.gateway.datagram_port import DatagramPort
from ingest.gateway.device_protocol import DeviceProtocol
from ingest.gateway.flights import Flight, Sender
from ingest.gateway.hub import Device
from ingest.gateway.limits import Limits
from ingest.gateway.listening import BACKLOG
from ingest.gateway.outbox import Outbox
from ingest.gateway.stats import GatewayStats
from ingest.gateway.tls_door import TlsDoor
from ingest.registry.directory import DeviceDirectory
from ingest.stream.messages import Headers, Transport, encode_headers
from ingest.stream.producer import FrameProducer, ProducerBrokenError

log = structlog.get_logger()

_REPORT_S: Final = 10.0
_CLOSE_S: Final = 1.0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Gateway:
    """All connections of one gateway process. Create it inside the running loop."""

    def __init__(
        self,
        producer: FrameProducer[Flight],
        directory: DeviceDirectory,
        commands: CommandDispatcher,
        limits: Limits,
        clock_ms: Callable[[], int] = _now_ms,
        retry_s: float = 1.0,
    ) -> None:
        """A gateway; `retry_s` is the wait before a frame that Kafka did not take is sent again."""
        self.limits = limits
        self.stats = GatewayStats()
        self.directory = directory
        self.commands = commands
        self.loop = asyncio.get_running_loop()
        self.now_ms = clock_ms
        self.outbox = Outbox(self)
        self.broken = asyncio.Event()
        """Set when the producer can never deliver again: the process has to start anew."""
        self._producer = producer
        self._retry_s = retry_s
        self._stamped: tuple[int, Transport, Headers] = 0, Transport.TCP, []
        self._devices: set[Device] = set()
        self._reserved: set[Device] = set()
        self._waiting: dict[Sender, None] = {}
        self._failed: deque[Flight] = deque()
        self._servers: list[asyncio.Server] = []
        self._doors: list[TlsDoor] = []
        self._datagrams: list[DatagramPort] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._name = os.urandom(6).hex()
        self._sessions = itertools.count(1)
        producer.start(self._deliver)

    async def listen(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve the connections of a listening socket, over TLS if told how."""
        if tls is not None:
            self._doors.append(TlsDoor(self, listening, tls))
        else:
            server = await self.loop.create_server(
                lambda: DeviceProtocol(self), sock=listening, backlog=BACKLOG
            )
            self._servers.append(server)
        self._start()

    async def listen_udp(self, bound: socket.socket) -> None:
        """Serve the datagrams of a bound socket."""
        port = DatagramPort(self)
        await self.loop.create_datagram_endpoint(lambda: port, sock=bound)
        self._datagrams.append(port)
        self._start()

    async def wait(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Raises:
            ProducerBrokenError: Kafka will never confirm anything again to this process.
        """
        endings = [self.loop.create_task(stop.wait()), self.loop.create_task(self.broken.wait())]
        lasting = [*self._tasks, *(door.accepting for door in self._doors)]
        try:
            done, _ = await asyncio.wait([*endings, *lasting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for ending in endings:
                ending.cancel()
        for task in done.intersection(lasting):
            task.result()  # raises what ended it: none of them ends by itself
        if self.broken.is_set():
            message = "the Kafka producer met an error it cannot recover from; start the gateway anew"
            raise ProducerBrokenError(message)

    async def drain(self, timeout_s: float) -> None:
        """Stop without losing an acknowledgement that can still be given.

        1. accept no connection; 2. take no more frames, close what waits for nothing; 3. wait for Kafka's
        reports, which write the acknowledgements and close; 4. give up the rest, unacknowledged, and count
        the messages that nobody will send again; 5. tell the database which commands have no session.
        """
        for server in self._servers:
            server.close()
        for door in self._doors:
            door.close()
        for datagrams in self._datagrams:
            datagrams.finish()
        for device in tuple(self._devices):
            device.finish()
        undelivered = await self._flush(timeout_s)
        await self._producer.close()
        await self._closing(_CLOSE_S)
        for device in tuple(self._devices):
            device.give_up()
        await self._closing(_CLOSE_S)
        for datagrams in self._datagrams:
            datagrams.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.outbox.give_up()
        await self.commands.close(_CLOSE_S)
        log.info(
            "gateway.stopped",
            undelivered=undelivered,
            acknowledged_frames=self.stats.acknowledged_frames,
            dropped_messages=self.stats.dropped_messages,
            refusals=dict(self.stats.refusals),
        )

    def enter(self, device: Device) -> bool:
        """Take in a new connection; False if there are too many."""
        self._reserved.discard(device)
        if not self._has_place():
            return False
        self._devices.add(device)
        self.stats.open_connections += 1
        return True

    def reserve(self, device: Device) -> bool:
        """Keep a place for a connection until it enters or leaves; False if there are too many."""
        if not self._has_place():
            return False
        self._reserved.add(device)
        return True

    def leave(self, device: Device) -> None:
        """Forget a connection."""
        self._reserved.discard(device)
        if device in self._devices:
            self._devices.discard(device)
            self.stats.open_connections -= 1

    def name_session(self) -> str:
        """A name that no other session of any gateway has."""
        return f"{self._name}/{next(self._sessions)}"

    def stamp(self, transport: Transport) -> Headers:
        """The headers of a message that came in now; those of one millisecond share them."""
        now_ms = self.now_ms()
        stamped_ms, stamped_transport, headers = self._stamped
        if now_ms != stamped_ms or transport is not stamped_transport:
            headers = encode_headers(now_ms, transport)
            self._stamped = now_ms, transport, headers
        return headers

    def send(self, key: bytes, flight: Flight, topic: str | None = None) -> bool:
        """Hand a frame to the producer; False if there is no room, and then the sender is called later."""
        frame = flight.frame
        try:
            if self._producer.send(key, frame, flight.headers, flight, topic):
                stats = self.stats
                stats.frames += 1
                stats.frame_bytes += len(frame)
                return True
        except ProducerBrokenError:
            self.broken.set()
            return False
        # a dict keeps the order of arrival and each sender once
        self._waiting.setdefault(flight.sender)
        return False

    def retry(self, flight: Flight) -> None:
        """Have a frame sent again soon that Kafka did not take."""
        self._failed.append(flight)

    def _has_place(self) -> bool:
        return len(self._devices) + len(self._reserved) < self.limits.max_connections

    async def _flush(self, timeout_s: float) -> int:
        """Wait until Kafka has everything; what it did not take is sent again while there is time.

        Returns:
            How many messages it still does not have.
        """
        deadline = self.loop.time() + timeout_s
        while True:
            self._launch_failed()
            undelivered = await self._producer.flush(max(0.0, deadline - self.loop.time()))
            left_s = deadline - self.loop.time()
            if not self._failed or left_s <= 0:
                return undelivered + len(self._failed)
            await asyncio.sleep(min(self._retry_s, left_s))

    def _start(self) -> None:
        if not self._tasks:
            self._tasks = [
                self.loop.create_task(coroutine)
                for coroutine in (
                    self.directory.run(),
                    self.commands.run(),
                    self._sweep(),
                    self._retry(),
                    self._report(),
                )
            ]

    def _deliver(self, reports: Sequence[tuple[Flight, bool]]) -> None:
        for flight, is_durable in reports:
            flight.sender.delivered(flight, is_durable)
        # Reports made room; whoever waited longest goes first.
        for sender in tuple(self._waiting):
            del self._waiting[sender]
            if not sender.pump():
                break

    def _launch_failed(self) -> None:
        """Send what Kafka did not take once more, oldest first, as far as there is room."""
        for _ in range(len(self._failed)):
            flight = self._failed.popleft()
            self.stats.redeliveries += 1
            if not flight.sender.relaunch(flight):
                self._failed.appendleft(flight)
                return

    async def _retry(self) -> None:
        while True:
            await asyncio.sleep(self._retry_s)
            self._launch_failed()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.limits.sweep_s)
            now = time.monotonic()
            for device in tuple(self._devices):
                device.expire(now)

    async def _closing(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._devices:  # closing transports still send what was written  # noqa: ASYNC110
                    await asyncio.sleep(0.005)

    async def _report(self) -> None:
        """Log refusals summed up: a flood of nonsense shall not become a flood of lines."""
        before = self.stats.refusals.copy()
        while True:
            await asyncio.sleep(_REPORT_S)
            refused = self.stats.refusals - before
            before = self.stats.refusals.copy()
            if refused:
                log.warning("gateway.refused", seconds=_REPORT_S, **refused)
