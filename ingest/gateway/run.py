"""`piston gateway` as one process: limits raised, ports opened, signals heard."""

import asyncio
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog
import uvloop
from prometheus_client import CollectorRegistry, start_http_server

from ingest import logs
from ingest.collecting import spare_collector
from ingest.commands.dispatcher import CommandDispatcher
from ingest.commands.store import PostgresCommandStore
from ingest.gateway.flights import Flight
from ingest.gateway.limits import Limits
from ingest.gateway.listening import open_tcp, open_udp, tls_context
from ingest.gateway.server import Gateway
from ingest.gateway.stats import GatewayCollector, GatewayStats
from ingest.registry.directory import DeviceDirectory, RegistryImeis
from ingest.stream.identity import read_identity
from ingest.stream.producer import KafkaFrameProducer, ProducerOptions
from telematics.errors import ConfigurationError, UnavailableError
from telematics.names import Topic
from telematics.settings import Settings

log = structlog.get_logger()

_KAFKA_CHECK_S: Final = 3.0
_SPARE_FILES: Final = 128


def run(
    settings: Settings, announce: Callable[[str], None], *, reuse_port: bool = False, is_tied: bool = False
) -> None:
    """Serve devices until SIGTERM or SIGINT.

    Args:
        settings: addresses and limits.
        announce: gets the one line that says that the port is open.
        reuse_port: share the port with other gateways of this user (SO_REUSEPORT), one a processor.
        is_tied: stop as well when standard input ends, which it does when whoever started this dies.

    Raises:
        ConfigurationError: a port is taken, Kafka lacks a topic, or the TLS files are wrong.
        UnavailableError: the producer broke.
    """
    logs.configure(settings.log_level)
    connections = _allow_files(settings.gateway_max_connections)
    limits = replace(Limits.from_settings(settings), max_connections=connections)
    spare_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, limits, announce, reuse_port=reuse_port, is_tied=is_tied))


async def _serve(
    settings: Settings, limits: Limits, announce: Callable[[str], None], *, reuse_port: bool, is_tied: bool
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if is_tied:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    await asyncio.to_thread(_check_topics, settings)
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
    gateway = Gateway(
        producer,
        DeviceDirectory(RegistryImeis(settings)),
        CommandDispatcher(PostgresCommandStore(settings), settings.command_quiet_s),
        limits,
    )
    try:
        ports = await _open_ports(gateway, settings, reuse_port=reuse_port)
        if settings.metrics_port:
            _export_metrics(gateway.stats, settings)
        announce(f"gateway: devices may connect to {settings.gateway_host}, {ports}")
        await gateway.wait(stop)
    finally:
        if is_tied:
            loop.remove_reader(sys.stdin.fileno())
        await gateway.drain(settings.gateway_drain_timeout_s)


async def _open_ports(gateway: Gateway, settings: Settings, *, reuse_port: bool) -> str:
    """Open every port that the settings ask for; returns their names."""
    host, tls = settings.gateway_host, tls_context(settings.gateway_tls_certificate, settings.gateway_tls_key)
    is_apart = settings.gateway_tls_port is not None
    if is_apart and tls is None:
        message = "PISTON_GATEWAY_TLS_PORT needs PISTON_GATEWAY_TLS_CERTIFICATE and PISTON_GATEWAY_TLS_KEY"
        raise ConfigurationError(message)
    main = open_tcp(host, settings.gateway_port, reuse_port=reuse_port)
    await gateway.listen(main, None if is_apart else tls)
    names = [f"TCP {settings.gateway_port}" + (" (TLS)" if tls and not is_apart else "")]
    if settings.gateway_tls_port is not None:
        apart = open_tcp(
            host, settings.gateway_tls_port, reuse_port=reuse_port, setting="PISTON_GATEWAY_TLS_PORT"
        )
        await gateway.listen(apart, tls)
        names.append(f"TCP {settings.gateway_tls_port} (TLS)")
    udp_port = settings.gateway_port if settings.gateway_udp_port is None else settings.gateway_udp_port
    if udp_port:
        await gateway.listen_udp(open_udp(host, udp_port, reuse_port=reuse_port))
        names.append(f"UDP {udp_port}")
    return ", ".join(names)


def _check_topics(settings: Settings) -> None:
    """A missing topic ends the start; a Kafka that is down does not, devices keep what is not confirmed."""
    wanted = [Topic.AVL_FRAMES, Topic.RESPONSES, Topic.QUARANTINE]
    try:
        read_identity(settings.kafka_bootstrap, wanted, _KAFKA_CHECK_S)
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
