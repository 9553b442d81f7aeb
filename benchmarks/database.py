"""A TimescaleDB for a benchmark alone: own folder, own port, newest schema, gone afterwards."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migrations.timescale.apply import migrate
from stack import preflight
from stack.account import server_account
from stack.control import Stack
from stack.servers.server import Server
from stack.servers.timescale import Timescale
from telematics.settings import Environment, Settings, load_settings


class _HotTier(Stack):
    """A stack of one server."""

    def servers(self) -> tuple[Server, ...]:
        """TimescaleDB."""
        return tuple(server for server in super().servers() if isinstance(server, Timescale))


@contextmanager
def own_timescale() -> Iterator[Settings]:
    """Settings of a running TimescaleDB that nothing else uses; the installed programs are shared.

    Raises:
        StackError: it cannot be installed or started.
    """
    usual = load_settings()
    folder = Path(tempfile.mkdtemp(prefix="piston-bench-"))
    folder.chmod(0o755)  # the server's own user has to reach it
    settings = usual.model_copy(
        update={
            "environment": Environment.TEST,
            "programs_dir": usual.programs,
            "data_dir": folder,
            "host": "127.0.0.1",
            "timescale_port": _free_port(),
        }
    )
    stack = _HotTier(settings)
    before = os.umask(0o022)
    try:
        preflight.make_folders(stack.layout, server_account(settings))
        with stack.exclusively():
            stack.up(lambda _: None, is_tied=True)
        migrate(settings, "head")
        yield settings
    finally:
        os.umask(before)
        with stack.exclusively():
            stack.down(lambda _: None, services_only=False)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
