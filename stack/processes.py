"""Processes of this machine, read from /proc: alive or not, whose command line, which port, how much memory.

A process is only ever stopped by an id that we recorded, and only while its command line still shows that
the number has not passed to somebody else's process.
"""

import errno
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = "0A"
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_STAT_STATE, _STAT_PARENT, _STAT_STARTED = 0, 1, 19  # proc(5), counted after the name in brackets


def _stat(pid: int) -> list[str] | None:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    stat = _stat(pid)
    return stat is not None and stat[_STAT_STATE] not in "ZX"


def uptime_s(pid: int) -> float | None:
    """Seconds since the process was started, None if it is gone."""
    stat = _stat(pid)
    if stat is None:
        return None
    boot_s = float((_PROC / "uptime").read_text().split()[0])
    return max(0.0, boot_s - int(stat[_STAT_STARTED]) / _CLOCK_TICKS)


def command_line(pid: int) -> list[str]:
    """The words of the process's command line; empty if it is gone."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
    return [os.fsdecode(word) for word in words if word]


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[_STAT_PARENT]), []).append(int(entry.name))
    found, rest = [], [pid]
    while rest:
        member = rest.pop()
        found.append(member)
        rest.extend(children.get(member, ()))
    return found


def memory_bytes(pid: int) -> int:
    """Memory of the process and its descendants; shared pages are counted once where the kernel tells.

    Proportional set sizes (smaps_rollup) need the process's own user or root; else resident sizes.
    """
    total_kib = 0
    for member in family(pid):
        for name, label in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
            try:
                lines = (_PROC / str(member) / name).read_text().splitlines()
            except OSError:
                continue
            value = next((line.split()[1] for line in lines if line.startswith(label)), None)
            if value is not None:
                total_kib += int(value)
                break
    return total_kib * 1024


def read_pid(path: Path) -> int | None:
    """The process id recorded in the file, whatever lives under it now."""
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def recorded(path: Path, marker: str) -> int | None:
    """The recorded process, if it lives and some word of its command line contains the marker."""
    pid = read_pid(path)
    if pid is None or not is_alive(pid):
        return None
    return pid if any(marker in word for word in command_line(pid)) else None


def wait_gone(pid: int, timeout_s: float) -> bool:
    """Wait until the process is gone; returns whether it is."""
    end = time.monotonic() + timeout_s
    while is_alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def stop(pid: int, first: signal.Signals = signal.SIGTERM, patience_s: float = 20.0) -> None:
    """End the process: first with the signal given, then, if it lingers, with SIGKILL."""
    for number, wait_s in ((first, patience_s), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_gone(pid, wait_s):
            return


def is_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there now.

    Raises:
        OSError: the host is no address of this machine.
    """
    with socket.socket() as probe:
        # as servers do: connections that a predecessor left in TIME_WAIT do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


@dataclass(frozen=True, slots=True)
class PortHolder:
    """A process that listens on a port."""

    pid: int
    program: str

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})"


def port_holder(port: int) -> PortHolder | None:
    """Who listens on the TCP port, as far as this user may see it."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            rows = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and _open_files(entry) & inodes:
            words = command_line(int(entry.name))
            return PortHolder(int(entry.name), Path(words[0]).name if words else "a process")
    return None


def _open_files(process: Path) -> set[str]:
    found: set[str] = set()
    with suppress(OSError):  # gone, or not ours to see
        for link in (process / "fd").iterdir():
            with suppress(OSError):  # closed while we looked
                found.add(str(link.readlink()))
    return found


def environment_has(pid: int, entry: str) -> bool:
    """Whether the process was started with the environment entry `NAME=value`."""
    try:
        return os.fsencode(entry) in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
