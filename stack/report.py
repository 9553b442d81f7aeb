"""How every server and service of a stack stands, asked in parallel."""

import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stack import processes
from stack.errors import ProbeError
from stack.servers.server import Server
from stack.services import Service
from stack.supervision import SERVERS, SERVICES, ProcessState

_STOPPED_BY_WILL = "STOPPED"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How one server or service stands."""

    name: str
    group: str
    state: str
    pid: int | None
    port: int | None
    uptime_s: float | None
    memory_bytes: int | None
    healthy: bool | None
    """Whether it answers; None where there is nothing to ask."""
    detail: str

    @property
    def is_wrong(self) -> bool:
        """Whether it should run and does not: servers always should, services once they were started."""
        if self.group == SERVICES and self.state == _STOPPED_BY_WILL:
            return False
        return self.state != "RUNNING" or self.healthy is False


def gather(
    servers: Sequence[Server], services: Sequence[Service], states: Mapping[str, ProcessState]
) -> list[ServerStatus]:
    """The status of each server, then of each service."""
    with ThreadPoolExecutor(len(servers) + len(services) or 1) as pool:
        of_servers = pool.map(lambda server: _server_status(server, states.get(server.name)), servers)
        of_services = pool.map(lambda service: _service_status(service, states.get(service.name)), services)
        return [*of_servers, *of_services]


def check_service(service: Service) -> str:
    """Connect to the service's port, if it has one.

    Raises:
        ProbeError: nobody listens there.
    """
    if service.port is None:
        return "runs"
    try:
        with socket.create_connection((service.port.host, service.port.port), 1.0):
            return f"port {service.port.port}"
    except OSError as error:
        message = f"{service.name} does not answer at {service.port.host}:{service.port.port} ({error})"
        raise ProbeError(message) from error


def _server_status(server: Server, state: ProcessState | None) -> ServerStatus:
    port = server.ports[0].port
    if state is None or state.pid is None:
        return _status(
            server.name, SERVERS, state, port, False, state.description if state else "the stack is down"
        )
    try:
        return _status(server.name, SERVERS, state, port, True, server.check())
    except ProbeError as error:
        return _status(server.name, SERVERS, state, port, False, str(error))


def _service_status(service: Service, state: ProcessState | None) -> ServerStatus:
    port = service.port.port if service.port else None
    if state is None or state.pid is None or service.port is None:
        detail = "the stack is down" if state is None else "" if state.pid else state.description
        return _status(service.name, SERVICES, state, port, None, detail)
    try:
        return _status(service.name, SERVICES, state, port, True, check_service(service))
    except ProbeError as error:
        return _status(service.name, SERVICES, state, port, False, str(error))


def _status(
    name: str, group: str, state: ProcessState | None, port: int | None, is_healthy: bool | None, detail: str
) -> ServerStatus:
    pid = state.pid if state else None
    return ServerStatus(
        name=name,
        group=group,
        state=state.state if state else _STOPPED_BY_WILL,
        pid=pid,
        port=port,
        uptime_s=processes.uptime_s(pid) if pid else None,
        memory_bytes=processes.memory_bytes(pid) if pid else None,
        healthy=is_healthy,
        detail=detail,
    )
