"""Up, down and status of one stack: the only module that other packages and the command line need.

Every function takes the settings, which say whose stack is meant. A lock file keeps two of them from
starting or stopping the same stack at once.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final

from stack import orphans, preflight, services
from stack.account import server_account
from stack.errors import PreflightError, ProbeError, StartError
from stack.install.everything import Programs, ensure_programs
from stack.install.programs import Progress, locked
from stack.layout import Layout
from stack.report import ServerStatus, check_service, gather
from stack.servers.clickhouse import ClickHouse
from stack.servers.elasticsearch import Elasticsearch
from stack.servers.kafka import Kafka
from stack.servers.server import Ground, Prepared, Server
from stack.servers.timescale import Timescale
from stack.servers.valkey import Valkey
from stack.supervision import SERVICES, ProcessState, Program, Supervisor
from telematics.settings import Settings

_CRASHING_PATIENCE_S: Final = 20.0
"""PostgreSQL may need a few starts until the last processes of its killed predecessor are gone."""
_POLL_S = 0.1
_FAILED: Final = {"FATAL", "EXITED", "UNKNOWN"}


def _silent(_: str) -> None:
    """No progress is wanted."""


class Stack:
    """One stack: its servers, its services, its supervisor. The functions below are its face."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = Layout.of(settings)
        self.supervisor = _supervisor_of(self.layout)

    def servers(self) -> tuple[Server, ...]:
        """The servers that the settings ask for; makes the stack's identity if it is new."""
        ground = Ground(self.settings, self.layout, server_account(self.settings), self.layout.identity())
        always = (Kafka(ground), Timescale(ground), ClickHouse(ground), Valkey(ground))
        return (*always, Elasticsearch(ground)) if self.settings.with_search else always

    def exists(self) -> bool:
        """Whether it was ever started."""
        return (self.layout.state / "stack_id").exists()

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep others from changing this stack meanwhile."""
        self.layout.run.mkdir(parents=True, exist_ok=True)
        with locked(self.layout.run / "control.lock"):
            yield

    def up(self, progress: Progress, *, is_tied: bool) -> None:
        """Servers running and healthy."""
        servers = self.servers()
        states = self.supervisor.states()
        idle = [server for server in servers if not _has_process(states, server.name)]
        if idle:
            self._require_machine(servers, idle)
        programs = ensure_programs(self.layout.programs, progress, with_search=self.settings.with_search)
        prepared = self._prepare(servers, programs, progress if idle else _silent)
        is_new = self.supervisor.write(
            [
                *(_program(server, prepared[server.name]) for server in servers),
                *services.programs_of(self.layout),
            ]
        )
        if self.supervisor.pid() is None:
            self.supervisor.start(is_tied=is_tied)
        elif is_new:
            self.supervisor.reload()
        for server in servers:
            if prepared[server.name].is_changed and _is_up(states, server.name):
                self.supervisor.stop_program(server.group, server.name)
            self.supervisor.start_program(server.group, server.name)
        for name in services.ORDER:  # a reload may have stopped them
            if _is_up(states, name):
                self.supervisor.start_program(SERVICES, name)
        self._await_servers(servers, progress if idle else _silent)

    def down(self, progress: Progress, *, services_only: bool) -> None:
        """Services stopped, then the servers, then the supervisor; and what a crash left over."""
        states = self.supervisor.states()
        for name in reversed(services.ORDER):
            if _is_up(states, name):
                self.supervisor.stop_program(SERVICES, name)
                progress(f"{name}: stopped")
        if services_only:
            return
        running = [server for server in self._known_servers() if _is_up(states, server.name)]
        with ThreadPoolExecutor(len(running) or 1) as pool:
            list(pool.map(lambda server: self.supervisor.stop_program(server.group, server.name), running))
        for server in running:
            progress(f"{server.title}: stopped")
        self.supervisor.shutdown()
        for server in self._known_servers():
            orphans.stop_server(self.layout, server)
        for name in services.ORDER:
            orphans.stop_service(self.layout, name)

    def status(self) -> list[ServerStatus]:
        """Every server and service."""
        offered = list(services.services_of(self.settings).values())
        return gather(self._known_servers(), offered, self.supervisor.states())

    def start_services(self, names: Sequence[str], progress: Progress, patience_s: float) -> None:
        """The named services that the settings ask for running, and answering where they have a port."""
        known = services.services_of(self.settings)
        if unknown := sorted(set(names) - set(services.ORDER)):
            message = f"there is no service {', '.join(unknown)}; there are {', '.join(services.ORDER)}"
            raise PreflightError(message)
        states = self.supervisor.states()
        if not states:
            message = "the stack is down; start it first: piston up"
            raise StartError(message)
        is_changed = services.write_environment(self.settings, self.layout)
        for name, service in known.items():
            if name not in names:
                continue
            if is_changed and _is_up(states, name):
                self.supervisor.stop_program(SERVICES, name)
            elif _is_up(states, name):
                continue
            else:
                orphans.stop_service(self.layout, name)
            if service.port is not None:
                preflight.require(preflight.port_problem(service.port, name))
            self.supervisor.start_program(SERVICES, name)
        for name, service in known.items():
            if name in names:
                self._await(name, partial(check_service, service), patience_s, progress)

    def stop_services(self, names: Sequence[str]) -> None:
        """The named services stopped, the last started first."""
        states = self.supervisor.states()
        for name in reversed(services.ORDER):
            if name in names and name in states:
                self.supervisor.stop_program(SERVICES, name)

    # -- steps ------------------------------------------------------------------------------------

    def _require_machine(self, servers: Sequence[Server], idle: Sequence[Server]) -> None:
        for server in idle:
            orphans.stop_server(self.layout, server)
        uses = [use for server in servers for use in server.ports]
        uses += [offer.port for offer in services.services_of(self.settings).values() if offer.port]
        preflight.require(
            preflight.duplicate_problem(uses),
            *(preflight.port_problem(use, server.title) for server in idle for use in server.ports),
            preflight.disk_problem(self.layout.data, "PISTON_DATA_DIR"),
            preflight.disk_problem(self.layout.programs, "PISTON_PROGRAMS_DIR"),
            preflight.memory_problem() if len(idle) == len(servers) else None,
        )

    def _prepare(
        self, servers: Sequence[Server], programs: Programs, progress: Progress
    ) -> dict[str, Prepared]:
        def prepare(server: Server) -> Prepared:
            is_first = not server.folder.exists()
            started = time.monotonic()
            prepared = server.prepare(programs)
            if is_first:
                progress(f"{server.title}: data folder made in {time.monotonic() - started:.1f} s")
            return prepared

        with ThreadPoolExecutor(len(servers)) as pool:
            return dict(zip((server.name for server in servers), pool.map(prepare, servers), strict=True))

    def _await_servers(self, servers: Sequence[Server], progress: Progress) -> None:
        def become_healthy(server: Server) -> str:
            server.finish()
            return server.check()

        with ThreadPoolExecutor(len(servers)) as pool:
            waiting = [
                pool.submit(
                    self._await,
                    server.name,
                    partial(become_healthy, server),
                    server.start_patience_s,
                    progress,
                    server.title,
                )
                for server in servers
            ]
        for one in waiting:
            one.result()

    def _await(
        self,
        name: str,
        check: Callable[[], str],
        patience_s: float,
        progress: Progress,
        title: str | None = None,
    ) -> None:
        started = time.monotonic()
        while True:
            state = self.supervisor.states().get(name)
            try:
                # a predecessor may still answer while its successor starts
                if state is not None and state.state == "RUNNING":
                    detail = check()
                    waited = time.monotonic() - started
                    progress(f"{title or name}: ready after {waited:.1f} s ({detail})")
                    return
                problem = f"it is {state.state.lower() if state else 'unknown to the supervisor'}"
            except ProbeError as error:
                problem = str(error)
            waited = time.monotonic() - started
            is_over = state is None or state.state in _FAILED
            is_crashing = state is not None and state.state == "BACKOFF" and waited > _CRASHING_PATIENCE_S
            if is_over or is_crashing or waited > patience_s:
                message = f"{title or name} did not become healthy: {problem}; {self._last_words(name)}"
                raise StartError(message)
            time.sleep(_POLL_S)

    def _last_words(self, name: str) -> str:
        log = self.layout.server_log(name)
        try:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        telling = [
            line for line in lines[-60:] if re.search("error|exception|fatal|cannot", line, re.IGNORECASE)
        ]
        return f"{log} says: {(telling or lines)[-1][:300]}" if lines else f"{log} is empty"

    def _known_servers(self) -> tuple[Server, ...]:
        """The servers, but none (and no folder made) where there never was a stack."""
        return self.servers() if self.exists() else ()


def up(
    settings: Settings,
    *,
    with_services: bool = False,
    progress: Progress = _silent,
    is_tied: bool = False,
) -> None:
    """Install what is missing, start the servers and wait until each is healthy. Does nothing twice.

    Args:
        settings: whose stack.
        with_services: also start gateway, sink, live, API and Dagster. Apply the migrations before.
        progress: told of each step in a line.
        is_tied: stop everything when this process ends, however it ends.

    Raises:
        StackError: a sentence that names the setting or the log that helps.
    """
    before = os.umask(0o022)
    try:
        stack = Stack(settings)
        preflight.make_folders(stack.layout, server_account(settings))
        with stack.exclusively():
            stack.up(progress, is_tied=is_tied)
        if with_services:
            start_services(settings, progress=progress)
    finally:
        os.umask(before)


def down(settings: Settings, *, services_only: bool = False, progress: Progress = _silent) -> None:
    """Stop services, servers and supervisor, in this order, and wait until they are gone."""
    stack = Stack(settings)
    if not stack.exists():
        return
    with stack.exclusively():
        stack.down(progress, services_only=services_only)


def status(settings: Settings) -> list[ServerStatus]:
    """How every server and service stands; an empty list where no stack was ever started."""
    return Stack(settings).status()


def start_services(
    settings: Settings,
    names: Sequence[str] = services.ORDER,
    *,
    progress: Progress = _silent,
    patience_s: float = 120.0,
) -> None:
    """Start services of a running stack and wait until they answer; those that run already stay.

    A service whose settings changed is restarted.

    Raises:
        StartError: the stack is down, or a service did not come up.
        PreflightError: an unknown name, or a port is taken.
    """
    stack = Stack(settings)
    with stack.exclusively():
        stack.start_services(names, progress, patience_s)


def stop_services(settings: Settings, names: Sequence[str] = services.ORDER) -> None:
    """Stop services of a stack and wait until they are gone."""
    stack = Stack(settings)
    with stack.exclusively():
        stack.stop_services(names)


def restart_service(settings: Settings, name: str, *, progress: Progress = _silent) -> None:
    """Stop a service and start it again with the settings of now.

    Raises:
        StartError: the stack is down, or the service did not come up.
    """
    stop_services(settings, [name])
    start_services(settings, [name], progress=progress)


_supervisors: dict[Layout, Supervisor] = {}


def _supervisor_of(layout: Layout) -> Supervisor:
    # the process that started a supervisord must collect its exit, so it is remembered
    return _supervisors.setdefault(layout, Supervisor(layout))


def _has_process(states: dict[str, ProcessState], name: str) -> bool:
    return name in states and states[name].pid is not None


def _is_up(states: dict[str, ProcessState], name: str) -> bool:
    return name in states and states[name].is_up


def _program(server: Server, prepared: Prepared) -> Program:
    return Program(
        name=server.name,
        group=server.group,
        command=tuple(prepared.command),
        enter=tuple(prepared.account.enter()),
        environment=tuple(prepared.environment.items()),
        stop_signal=server.stop_signal,
        stop_patience_s=server.stop_patience_s,
    )
