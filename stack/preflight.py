"""What is checked before anything starts: ports, disk, memory, folders. Each finding names what helps."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from stack import processes
from stack.account import Account, require_reachable
from stack.errors import PreflightError
from stack.layout import Layout
from stack.servers.server import PortUse

MIN_FREE_DISK_BYTES = 5 * 10**9
MIN_FREE_MEMORY_BYTES = 3 * 10**9


def free_disk_bytes(folder: Path) -> int:
    """Free bytes where the folder is, or will be."""
    existing = next(step for step in [folder, *folder.parents] if step.exists())
    return shutil.disk_usage(existing).free


def available_memory_bytes(meminfo: str | None = None) -> int:
    """Bytes that processes can still take without swapping (MemAvailable of /proc/meminfo)."""
    text = Path("/proc/meminfo").read_text() if meminfo is None else meminfo
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def port_problem(use: PortUse, title: str) -> str | None:
    """A sentence if the port is taken, None if it is free."""
    try:
        if processes.is_port_free(use.host, use.port):
            return None
    except OSError as error:
        host_setting = use.setting.removesuffix("_PORT") + "_HOST" if use.is_service else "PISTON_HOST"
        return (
            f"{title} cannot listen on {use.host} ({error.strerror}); "
            f"set {host_setting} to an address of this machine"
        )
    holder = processes.port_holder(use.port)
    return (
        f"port {use.port}, which {title} needs, is taken by {holder or 'another process'}; "
        f"stop that or set {use.setting} to a free port"
    )


def duplicate_problem(uses: Iterable[PortUse]) -> str | None:
    """A sentence if two settings name the same port."""
    seen: dict[int, str] = {}
    for use in uses:
        if use.port in seen:
            return f"{seen[use.port]} and {use.setting} are both {use.port}; move one of them"
        seen[use.port] = use.setting
    return None


def disk_problem(folder: Path, setting: str, needed: int = MIN_FREE_DISK_BYTES) -> str | None:
    """A sentence if the folder's disk has too little room."""
    free = free_disk_bytes(folder)
    if free >= needed:
        return None
    return (
        f"only {free / 1e9:.1f} GB are free for {folder}, and {needed / 1e9:.0f} GB are needed; "
        f"make room or set {setting} to a folder on a larger disk"
    )


def memory_problem(needed: int = MIN_FREE_MEMORY_BYTES, available: int | None = None) -> str | None:
    """A sentence if the machine has too little memory left for the servers."""
    left = available_memory_bytes() if available is None else available
    if left >= needed:
        return None
    return (
        f"only {left / 1e9:.1f} GB of memory are available, and the servers need {needed / 1e9:.0f} GB; "
        "close other programs, or run the servers elsewhere (PISTON_HOST and the PISTON_*_PORT settings)"
    )


def require(*problems: str | None) -> None:
    """Stop at the first problem.

    Raises:
        PreflightError: there is one.
    """
    for problem in problems:
        if problem is not None:
            raise PreflightError(problem)


def make_folders(layout: Layout, account: Account) -> None:
    """Create the stack's folders and check that the servers' user reaches them.

    Raises:
        PreflightError: a parent folder is closed to that user, or may not be written.
    """
    for folder, setting in ((layout.programs, "PISTON_PROGRAMS_DIR"), (layout.data, "PISTON_DATA_DIR")):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = (
                f"cannot create {folder} ({error.strerror}); "
                f"set {setting} (or PISTON_HOME) to a folder of yours"
            )
            raise PreflightError(message) from error
        require_reachable(account, folder, setting)
    for folder in (layout.log, layout.state, layout.run):
        folder.mkdir(exist_ok=True)
    layout.run.chmod(0o700)
