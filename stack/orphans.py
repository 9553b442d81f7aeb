"""Processes that a killed supervisor left behind: ended by their recorded id, if they are still ours."""

import signal

from stack import processes
from stack.layout import Layout
from stack.servers.server import Server


def stop_server(layout: Layout, server: Server) -> None:
    """End the recorded process of a server that nobody supervises any more."""
    path = layout.pid_file(server.name)
    pid = processes.recorded(path, server.marker)
    if pid is not None:
        processes.stop(pid, signal.Signals[f"SIG{server.stop_signal}"])
    path.unlink(missing_ok=True)


def stop_service(layout: Layout, name: str) -> None:
    """End the recorded process of a service that nobody supervises any more.

    A service's command line is the same in every stack; its environment names the data folder.
    """
    path = layout.pid_file(name)
    pid = processes.recorded(path, "cli.main")
    if pid is not None and processes.environment_has(pid, f"PISTON_DATA_DIR={layout.data}"):
        processes.stop(pid)
    path.unlink(missing_ok=True)
