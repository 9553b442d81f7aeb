"""Servers of a benchmark's own: fresh data, free ports, gone when the benchmark ends.

What a benchmark writes must not reach the tables and topics of the stack that somebody uses.
"""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from migrations.apply import upgrade
from stack import control
from telematics.settings import Environment, Settings, load_settings

_BASE: Final = Path("/var/tmp")  # noqa: S108 - the servers' user has to reach it; mkdtemp makes it ours
_PORTS: Final = (
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


@contextmanager
def private_stack(*, with_search: bool = False) -> Iterator[Settings]:
    """Running servers with the newest schema, without services; Elasticsearch only where it is asked for."""
    folder = Path(tempfile.mkdtemp(prefix="piston-bench-", dir=_BASE))
    folder.chmod(0o755)
    settings = load_settings().model_copy(
        update={
            "environment": Environment.TEST,
            "host": "127.0.0.1",
            "kafka_servers": None,
            "data_dir": folder,
            "gateway_udp_port": None,
            "with_search": with_search,
            **dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True)),
        }
    )
    try:
        control.up(settings, is_tied=True)
        upgrade(settings)
        yield settings
    finally:
        try:
            control.down(settings)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; held together until all are found, so that none comes twice."""
    with ExitStack() as held:
        opened = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in opened]
