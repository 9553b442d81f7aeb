"""The gateway: listens for devices, shares one producer among them, drains when told to stop."""

import asyncio
import errno
import gc
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
import uvloop
from prometheus_client import CollectorRegistry, start_http_server

from ingest import logs
from ingest.gateway.device_protocol import DeviceProtocol
from ingest.gateway.hub import Device, Flight
from ingest.gateway.limits import Limits
from ingest.gateway.stats import GatewayCollector, GatewayStats
from ingest.registry.directory import DeviceDirectory, RegistryImeis
from ingest.stream.identity import read_identity
from ingest.stream.messages import Headers, Transport, encode_headers
from ingest.stream.producer import FrameProducer, KafkaFrameProducer, ProducerBrokenError, ProducerOptions
from telematics.errors import ConfigurationError, UnavailableError
from telematics.names import Topic
from telematics.settings import Settings

log = structlog.get_logger()

_BACKLOG: Final = 4096
_REPORT_S: Final = 10.0
_KAFKA_CHECK_S: Final = 3.0
_SPARE_FILES: Final = 128


class Gateway:
    """All connections of one device port. Create it inside the running loop."""

    def __init__(
        self,
        producer: FrameProducer[Flight],
        directory: DeviceDirectory,
        limits: Limits,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.limits = limits
        self.stats = GatewayStats()
        self.directory = directory
        self.loop = asyncio.get_running_loop()
        self.now_ms = clock_ms
        self.broken = asyncio.Event()
        """Set when the producer can never deliver again: the process has to start anew."""
        self._producer = producer
        self._headers_ms = -1
        self._headers: Headers = []
        self._devices: set[Device] = set()
        self._waiting: dict[Device, None] = {}
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        producer.start(self._deliver)

    async def listen(self, host: str, port: int, *, reuse_port: bool = False) -> int:
        """Open the device port; returns its number (another than asked for if that was 0).

        Raises:
            ConfigurationError: the port is taken or the address is not ours.
        """
        try:
            self._server = await self.loop.create_server(
                lambda: DeviceProtocol(self), host, port, backlog=_BACKLOG, reuse_port=reuse_port or None
            )
        except OSError as error:
            raise ConfigurationError(_listen_problem(error, host, port)) from error
        self._tasks = [
            self.loop.create_task(self.directory.run()),
            self.loop.create_task(self._sweep()),
            self.loop.create_task(self._report()),
        ]
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def wait(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Raises:
            ProducerBrokenError: Kafka will never confirm anything again to this process.
        """
        endings = [self.loop.create_task(stop.wait()), self.loop.create_task(self.broken.wait())]
        try:
            done, _ = await asyncio.wait([*endings, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for ending in endings:
                ending.cancel()
        for task in done.intersection(self._tasks):
            task.result()  # raises what ended it: none of them ends by itself
        if self.broken.is_set():
            message = "the Kafka producer met an error it cannot recover from; start the gateway anew"
            raise ProducerBrokenError(message)

    async def drain(self, timeout_s: float) -> None:
        """Stop without losing an acknowledgement that can still be given.

        1. accept no connection; 2. take no more frames, close what waits for nothing; 3. wait for Kafka's
        reports, which write the acknowledgements and close; 4. give up the rest, unacknowledged.
        """
        if self._server is not None:
            self._server.close()
        for device in tuple(self._devices):
            device.finish()
        undelivered = await self._producer.flush(timeout_s)
        await self._producer.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while self._devices:  # closing transports still send what was written  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        log.info(
            "gateway.stopped",
            undelivered=undelivered,
            acknowledged_frames=self.stats.acknowledged_frames,
            refusals=dict(self.stats.refusals),
        )

    def enter(self, device: Device) -> bool:
        """Take in a new connection; False if there are too many."""
        if len(self._devices) >= self.limits.max_connections:
            return False
        self._devices.add(device)
        self.stats.open_connections += 1
        return True

    def leave(self, device: Device) -> None:
        """Forget a connection."""
        if device in self._devices:
            self._devices.discard(device)
            self.stats.open_connections -= 1

    def send(self, key: bytes, frame: bytes, received_at_ms: int, flight: Flight) -> bool:
        """Hand a frame to the producer; False if there is no room, and then the device is called later."""
        try:
            if received_at_ms != self._headers_ms:  # frames of one millisecond share their headers
                self._headers_ms = received_at_ms
                self._headers = encode_headers(received_at_ms, Transport.TCP)
            if self._producer.send(key, frame, self._headers, flight):
                self.stats.frames += 1
                self.stats.frame_bytes += len(frame)
                return True
        except ProducerBrokenError:
            self.broken.set()
            return False
        # a dict keeps the order of arrival and each device once
        self._waiting.setdefault(flight.device)
        return False

    def _deliver(self, reports: Sequence[tuple[Flight, bool]]) -> None:
        for flight, is_durable in reports:
            flight.device.delivered(flight, is_durable)
        # Reports made room; whoever waited longest goes first.
        for device in tuple(self._waiting):
            del self._waiting[device]
            if not device.pump():
                break

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.limits.sweep_s)
            now = self.loop.time()
            for device in [device for device in self._devices if device.deadline < now]:
                device.expire()

    async def _report(self) -> None:
        """Log refusals summed up: a flood of nonsense shall not become a flood of lines."""
        before = self.stats.refusals.copy()
        while True:
            await asyncio.sleep(_REPORT_S)
            refused = self.stats.refusals - before
            before = self.stats.refusals.copy()
            if refused:
                log.warning("gateway.refused", seconds=_REPORT_S, **refused)


def run(settings: Settings, announce: Callable[[str], None], *, reuse_port: bool = False) -> None:
    """Serve devices until SIGTERM or SIGINT.

    Args:
        settings: addresses and limits.
        announce: gets the one line that says that the port is open.
        reuse_port: share the port with other gateways of this user (SO_REUSEPORT), one a processor.

    Raises:
        ConfigurationError: the port is taken, or Kafka lacks the topic.
        UnavailableError: the producer broke.
    """
    logs.configure(settings.log_level)
    connections = _allow_files(settings.gateway_max_connections)
    limits = replace(Limits.from_settings(settings), max_connections=connections)
    # What is imported lives as long as the process, and sessions hold no reference cycles: the collector's
    # default pace would cost a twentieth of the processor and find nothing.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, limits, announce, reuse_port=reuse_port))


async def _serve(
    settings: Settings, limits: Limits, announce: Callable[[str], None], *, reuse_port: bool
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await asyncio.to_thread(_check_topic, settings)
    producer: KafkaFrameProducer[Flight] = KafkaFrameProducer(
        ProducerOptions(
            bootstrap=settings.kafka_bootstrap,
            topic=Topic.AVL_FRAMES,
            linger_ms=settings.gateway_linger_ms,
            delivery_timeout_s=settings.gateway_delivery_timeout_s,
            queue_kbytes=settings.gateway_queue_kbytes,
        ),
        on_broken=lambda: gateway.broken.set(),
    )
    gateway = Gateway(producer, DeviceDirectory(RegistryImeis(settings)), limits)
    try:
        port = await gateway.listen(settings.gateway_host, settings.gateway_port, reuse_port=reuse_port)
        if settings.metrics_port:
            _export_metrics(gateway.stats, settings)
        announce(f"gateway: devices may connect to {settings.gateway_host}:{port}")
        await gateway.wait(stop)
    finally:
        await gateway.drain(settings.gateway_drain_timeout_s)


def _check_topic(settings: Settings) -> None:
    """A missing topic ends the start; a Kafka that is down does not, devices keep what is not confirmed."""
    try:
        read_identity(settings.kafka_bootstrap, [Topic.AVL_FRAMES], _KAFKA_CHECK_S)
    except UnavailableError as error:
        log.warning("gateway.kafka_unavailable", detail=str(error))


def _export_metrics(stats: GatewayStats, settings: Settings) -> None:
    registry = CollectorRegistry()
    registry.register(GatewayCollector(stats))
    try:
        start_http_server(settings.metrics_port, settings.host, registry)
    except OSError as error:
        message = f"metrics port {settings.metrics_port} is taken; set PISTON_METRICS_PORT (0 is off)"
        raise ConfigurationError(message) from error


def _allow_files(connections: int) -> int:
    """Raise this process's limit of open files, of which each connection is one.

    Returns:
        How many connections can be had, `connections` at most.
    """
    wanted = connections + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    if reachable < wanted:
        log.info("gateway.fewer_connections", open_files=reachable, wanted=wanted)
    return max(1, min(connections, reachable - _SPARE_FILES))


def _listen_problem(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken; stop what listens there or set PISTON_GATEWAY_PORT"
    return (
        f"cannot listen on {host}:{port} ({error.strerror}); see PISTON_GATEWAY_HOST and PISTON_GATEWAY_PORT"
    )
