"""Dagster in the foreground: code server, web server and daemon, one ending ends all.

The code location is loaded once, by a gRPC server that the other two share: 444 MB and ready in 4 s, where
`dagster dev` took 625 MB and 16 s (measured). Dagster's processes answer SIGTERM the way they answer SIGINT.
Their parent must therefore not ignore SIGINT, as a shell does for what it starts in the background: an
ignored signal stays ignored across exec, and they could not be stopped. A handler, which this module
installs, is reset to the default there.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

from orchestration.faults import answers
from orchestration.home import environment_of, write_home
from orchestration.launch import REPOSITORY
from telematics.errors import ConfigurationError, PistonError
from telematics.settings import Settings

Progress = Callable[[str], None]

LOCATION: Final = "orchestration.definitions"
START_S: Final = 180.0
"""Longest wait for the code server: it may have to parse the dbt project first, on a busy machine."""
STOP_S: Final = 15.0
"""Longest wait for a process that was asked to end before it is killed."""
_POLL_S: Final = 0.2
_BIN: Final = Path(sys.executable).parent


class ServerEndedError(PistonError):
    """One of Dagster's processes ended by itself."""


def serve(settings: Settings, progress: Progress) -> None:
    """Run Dagster until SIGTERM or SIGINT.

    Args:
        settings: of the stack that Dagster works for.
        progress: gets one line when the web server is ready.

    Raises:
        ConfigurationError: the port is taken.
        ServerEndedError: a process ended although nobody asked it to.
    """
    refuse_taken_port(settings.dagster_host, settings.dagster_port)
    home = write_home(settings)
    environment = environment_of(settings, os.environ)
    stopping = _stop_on_signals()
    code_port = free_port()
    workspace = _write_workspace(home, code_port)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command, port in _programs(settings, code_port, workspace):
            running[name] = subprocess.Popen(command, env=environment, cwd=REPOSITORY)
            if port and not _wait_for_port(*port, running, stopping):
                return
        progress(f"Dagster: http://{settings.dagster_host}:{settings.dagster_port}")
        while not stopping:
            _refuse_ended(running)
            time.sleep(_POLL_S)
    finally:
        stop(list(running.values())[::-1])


def _programs(
    settings: Settings, code_port: int, workspace: Path
) -> list[tuple[str, list[str], tuple[str, int] | None]]:
    """Name, command and the port that says it is ready, in the order of starting."""
    web = (settings.dagster_host, settings.dagster_port)
    return [
        (
            "code server",
            [
                str(_BIN / "dagster"), "api", "grpc", "--module-name", LOCATION, "--location-name", LOCATION,
                "--host", "127.0.0.1", "--port", str(code_port), "--log-level", "warning",
            ],
            ("127.0.0.1", code_port),
        ),
        (
            "daemon",
            [str(_BIN / "dagster-daemon"), "run", "--workspace", str(workspace), "--log-level", "warning"],
            None,
        ),
        (
            "web server",
            [
                str(_BIN / "dagster-webserver"), "--workspace", str(workspace), "--host", web[0],
                "--port", str(web[1]), "--log-level", "warning",
            ],
            web,
        ),
    ]  # fmt: skip


def refuse_taken_port(host: str, port: int) -> None:
    """Raise unless the port can be listened on.

    Raises:
        ConfigurationError: another program listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = (
                f"port {port} on {host}, which Dagster's web server needs, is taken ({error.strerror}); "
                "stop what uses it or set PISTON_DAGSTER_PORT to a free port"
            )
            raise ConfigurationError(message) from error


def free_port() -> int:
    """A port on the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stop(processes: Sequence[subprocess.Popen[bytes]], patience_s: float = STOP_S) -> None:
    """Ask the processes and all that they started to end, at once, and kill those that do not in time.

    The runs at work are children of the code server. Asked to end, they write down that they were
    interrupted; left alone, they would go on after the stack is down.
    """
    started = [pid for process in processes for pid in descendants(process.pid)]
    for pid in started:
        _signal(pid, signal.SIGTERM)
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + patience_s
    for process in processes:
        try:
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    while any(is_alive(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for pid in started:
        _signal(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started, as /proc knows them now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            parent = _parent_of(int(entry.name))
            if parent is not None:
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children.get(each, ()))
    return found[1:]


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not merely waiting for its parent to notice its end."""
    stat = _stat_of(pid)
    return stat is not None and stat[0] != "Z"


def _parent_of(pid: int) -> int | None:
    stat = _stat_of(pid)
    return None if stat is None else int(stat[1])


def _stat_of(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on: the name before them may hold anything (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    if is_alive(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _stop_on_signals() -> list[int]:
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    return received


def _write_workspace(home: Path, code_port: int) -> Path:
    server = {"host": "127.0.0.1", "port": code_port, "location_name": LOCATION}
    path = home / "workspace.yaml"
    path.write_text(json.dumps({"load_from": [{"grpc_server": server}]}) + "\n")  # JSON is YAML
    return path


def _wait_for_port(
    host: str, port: int, running: dict[str, subprocess.Popen[bytes]], stopping: Sequence[int]
) -> bool:
    """Whether the port opened before we were asked to stop."""
    deadline = time.monotonic() + START_S
    while not stopping:
        _refuse_ended(running)
        if answers(host, port, timeout_s=1.0):
            return True
        if time.monotonic() > deadline:
            message = f"{list(running)[-1]} of Dagster did not open port {port} within {START_S:.0f} s"
            raise ServerEndedError(message)
        time.sleep(_POLL_S)
    return False


def _refuse_ended(running: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, process in running.items():
        code = process.poll()
        if code is not None:
            message = f"the {name} of Dagster ended with code {code}; its last lines are above"
            raise ServerEndedError(message)
