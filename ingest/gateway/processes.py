"""Several gateways on one port, one a processor: the kernel deals out the connections (SO_REUSEPORT).

The parent starts them, starts one again that ended by itself, and passes on the order to stop. A child's
standard input is a pipe from the parent: when the parent dies in whatever way, it ends, and the child drains
and stops as well. What a device sends again after a child was killed goes to whichever is there; commands and
acknowledgements need no memory shared between them.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from ingest import logs
from telematics.settings import Settings

log = structlog.get_logger()

METRICS_PORT_STEP: Final = 10
"""Metrics of the second process are on `metrics_port` + 10, of the third on + 11 …: the first eight
numbers belong to the other services."""
_POLL_S: Final = 0.2
_LIVED_S: Final = 10.0
_MAX_SHORT_LIVES: Final = 3
_GRACE_S: Final = 10.0


@dataclass(slots=True)
class _Child:
    number: int
    process: subprocess.Popen[str]
    started_at: float
    short_lives: int = 0


def run_processes(settings: Settings, count: int, announce: Callable[[str], None]) -> int:
    """Run `count` gateways until SIGTERM or SIGINT.

    Args:
        settings: of all of them.
        count: how many.
        announce: gets the one line that says that every port is open.

    Returns:
        The exit code: 0, or that of a gateway that cannot start.
    """
    logs.configure(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    children = [_start(settings, number) for number in range(count)]
    try:
        lines = [_first_line(child) for child in children]
        if not all(lines):
            return _failure(children)
        announce(f"{lines[0]} ({count} processes)")
        while not stop.wait(_POLL_S):
            for place, child in enumerate(children):
                code = child.process.poll()
                if code is None:
                    continue
                short_lives = child.short_lives + 1 if time.monotonic() - child.started_at < _LIVED_S else 0
                log.warning("gateway.process_ended", number=child.number, exit_code=code)
                if short_lives >= _MAX_SHORT_LIVES:
                    return code if code > 0 else 1
                children[place] = _start(settings, child.number, short_lives)
        return 0
    finally:
        _stop(children, settings.gateway_drain_timeout_s + _GRACE_S)


def _start(settings: Settings, number: int, short_lives: int = 0) -> _Child:
    metrics_port = settings.metrics_port
    if metrics_port and number:
        metrics_port += METRICS_PORT_STEP + number - 1
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "gateway", "--processes", "1", "--reuse-port", "--tied"],
        env=os.environ | {"PISTON_METRICS_PORT": str(metrics_port)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return _Child(number, process, time.monotonic(), short_lives)


def _first_line(child: _Child) -> str:
    return child.process.stdout.readline().strip() if child.process.stdout is not None else ""


def _failure(children: list[_Child]) -> int:
    """The exit code of the one that did not open its port; it has said why."""
    for child in children:
        if child.process.poll():
            return max(1, child.process.returncode)
    return 1


def _stop(children: list[_Child], timeout_s: float) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    deadline = time.monotonic() + timeout_s
    for child in children:
        try:
            child.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        for pipe in (child.process.stdin, child.process.stdout):
            if pipe is not None:
                pipe.close()
