"""The real servers for a test session: own data folder, own free ports, gone afterwards.

The supervisor is started on a leash (`is_tied`): when the pytest process ends in whatever way, the kernel
sends supervisord SIGTERM, which stops every server. Data folders that a killed session left behind are
removed by the next one, as soon as nobody runs in them.
"""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest

from migrations.apply import upgrade
from stack import control
from stack.layout import Layout
from stack.processes import read_pid, wait_gone
from stack.supervision import Supervisor
from telematics.settings import Environment, Settings

_BASE = Path("/var/tmp")
_PREFIX = "piston-test-"
_ABANDONED_AFTER_S = 3600.0

PORTS = (
    "kafka_port",
    "kafka_controller_port",
    "timescale_port",
    "clickhouse_http_port",
    "clickhouse_tcp_port",
    "valkey_port",
    "search_port",
    "search_transport_port",
    "gateway_port",
    "api_port",
    "dagster_port",
)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different because all are held until the last is found.

    Below the kernel's range for outgoing connections, so that none of those takes one in between.
    """
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            candidate = 10_000 + int.from_bytes(os.urandom(4)) % max(1, first_outgoing - 10_000)
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            found.append(candidate)
        return found


def make_settings(data_dir: Path, **overrides: object) -> Settings:
    """Settings of a stack of its own: every port free, no server but its own; the programs are shared.

    Elasticsearch, which takes half a gigabyte, is left out unless `with_search` asks for it.
    """
    values: dict[str, object] = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    values |= {
        "environment": Environment.TEST,
        "host": "127.0.0.1",
        "kafka_servers": None,
        "with_search": False,
        # tests take days of their own, mostly in a far future, so that their counts are theirs alone
        "device_time_earliest": date(2000, 1, 1),
        "device_time_ahead_h": 1_000_000,
        "data_dir": data_dir,
    }
    return Settings(_env_file=None, **(values | overrides))  # type: ignore[arg-type]


def make_data_dir() -> Path:
    """A fresh folder that the servers' user can reach."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_BASE))
    folder.chmod(0o755)
    return folder


def remove_abandoned(base: Path = _BASE, older_than_s: float = _ABANDONED_AFTER_S) -> None:
    """Remove data folders of sessions that were killed: old ones in which no supervisor runs."""
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            is_old = time.time() - folder.stat().st_mtime > older_than_s
        except OSError:  # another session removed it
            continue
        if is_old and Supervisor(Layout(folder, folder)).pid() is None:
            shutil.rmtree(folder, ignore_errors=True)


def remove_stack(settings: Settings) -> None:
    """Stop the stack and remove its data, whatever state it is in."""
    supervisor_pid = read_pid(Layout.of(settings).supervisor_pid)
    try:
        control.down(settings)
    finally:
        if supervisor_pid is not None:
            wait_gone(supervisor_pid, 10.0)
        shutil.rmtree(settings.data, ignore_errors=True)


@pytest.fixture(scope="session")
def test_settings() -> Iterator[Settings]:
    """Settings of the session's own stack. Asking for them starts nothing."""
    remove_abandoned()
    settings = make_settings(make_data_dir())
    yield settings
    shutil.rmtree(settings.data, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(test_settings: Settings) -> Iterator[Settings]:
    """The settings of running servers with the newest schema; services are not started."""
    try:
        control.up(test_settings, progress=print, is_tied=True)
        upgrade(test_settings, print)
        yield test_settings
    finally:
        remove_stack(test_settings)


@pytest.fixture(scope="session")
def search_stack(stack: Settings) -> Settings:
    """The session's servers with Elasticsearch among them, started by the first test that asks for it."""
    settings = stack.model_copy(update={"with_search": True})
    control.up(settings, progress=print, is_tied=True)
    upgrade(settings, print)
    return settings
