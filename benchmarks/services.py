"""Piston's own processes as a benchmark runs them: in the foreground, words in a file, ended with it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from stack.layout import Layout
from stack.services import environment_of
from telematics.settings import Settings

_START_S: Final = 60.0
_STOP_S: Final = 30.0


@contextmanager
def service(settings: Settings, name: str, port: int | None = None) -> Iterator[int]:
    """`piston NAME` while the block runs; its process id.

    Args:
        settings: of the stack.
        name: of the service.
        port: to wait for, if it has one.

    Raises:
        RuntimeError: it ended by itself, or does not listen; its last words.
    """
    log = Layout.of(settings).log / f"bench-{name}.log"
    with log.open("ab") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", name],
            env=environment_of(settings),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
        )
    try:
        if port is not None:
            _await_port(port, process, name)
        yield process.pid
        if process.poll() is not None:
            message = f"{name} ended by itself: {log.read_text(errors='replace')[-500:]}"
            raise RuntimeError(message)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_port(port: int, process: "subprocess.Popen[bytes]", name: str) -> None:
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"{name} does not listen on its port"
    raise RuntimeError(message)
