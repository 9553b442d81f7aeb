"""Our own processes as tests run them: real, in the foreground, with an environment of their own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.services import environment_of
from telematics.settings import Settings

_PATIENCE_S = 30.0


class ServiceProcess:
    """`piston NAME`, started, killed and started again."""

    def __init__(self, name: str, settings: Settings, log: Path) -> None:
        self._name = name
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", self._name],
                env=environment_of(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"{self._name} ended by itself:\n{self.last_words()}"
        self._process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process is not None
        assert self._process.wait(10) == -signal.SIGKILL

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.signal(signal.SIGTERM)
        assert self._process is not None
        return self._process.wait(_PATIENCE_S)

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def abandon(self) -> None:
        """Make sure that nothing stays behind after a failed test."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


@contextmanager
def service(name: str, settings: Settings, folder: Path) -> Iterator[ServiceProcess]:
    process = ServiceProcess(name, settings, folder / f"{name}.log")
    try:
        process.start()
        yield process
    finally:
        process.abandon()


async def wait_for_port(port: int, process: ServiceProcess, patience_s: float = _PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            os.kill(process.pid, 0)
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return
    message = f"nobody listens on the port:\n{process.last_words()}"
    raise TimeoutError(message)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
