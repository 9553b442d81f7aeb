"""A whole JDK for Elasticsearch: the machine's own, else Debian's, unpacked privately.

Elasticsearch needs modules that the runtime from PyPI (`stack.install.java`) lacks.
"""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from stack.errors import InstallError
from stack.install.debian import SUITE, DebianArchive, relink_inside, wrap_programs
from stack.install.java import Java, machine_java
from stack.install.programs import Progress, Recipe, install

NEEDED_MODULE: Final = "jdk.jlink"
_PACKAGE: Final = "openjdk-21-jdk-headless"
_UNUSED_FOLDERS: Final = ("var", "usr/share", "usr/sbin", "usr/bin")


@cache
def has_module(java: Java) -> bool:
    """Whether the Java has the module that Elasticsearch needs."""
    try:
        done = subprocess.run(
            [java.executable, "--list-modules"], capture_output=True, text=True, check=False, timeout=30.0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(line.split("@")[0] == NEEDED_MODULE for line in done.stdout.splitlines())


def recipe(archive: Callable[[], DebianArchive]) -> Recipe:
    """How Debian's JDK is unpacked, with the C library that it was built for."""

    def build(target: Path) -> None:
        archive().unpack(_PACKAGE, _is_wanted, target)
        relink_inside(target)  # its settings are links into /etc
        home = jdk_home(target)
        wrap_programs(target, str(home.relative_to(target) / "bin"))
        # the programs look for their libraries in ../lib, and were moved one folder down
        (home / "bin/lib").symlink_to("../lib")
        shutil.rmtree(home / "jmods", ignore_errors=True)  # for making runtimes of one's own
        for folder in _UNUSED_FOLDERS:
            shutil.rmtree(target / folder, ignore_errors=True)

    return Recipe("jdk", f"21-{SUITE}", build)


def _is_wanted(name: str) -> bool:
    return name.startswith(("openjdk-", "lib", "gcc-", "zlib1g"))


def jdk_home(prefix: Path) -> Path:
    """The JDK's home inside the unpacked packages.

    Raises:
        InstallError: there is none where Debian puts it.
    """
    for java in sorted((prefix / "usr/lib/jvm").glob("java-*/bin/java")):
        if not java.parent.parent.is_symlink():
            return java.parent.parent
    message = f"{_PACKAGE} has no java where it was expected; install a JDK 17 or newer, set JAVA_HOME to it"
    raise InstallError(message)


def ensure_jdk(programs: Path, archive: Callable[[], DebianArchive], progress: Progress) -> Java:
    """The machine's own Java if it is a JDK and new enough, else one installed below the programs folder.

    Raises:
        InstallError: it cannot be fetched.
    """
    own = machine_java()
    if own is not None and has_module(own):
        return own
    return Java(jdk_home(install(programs, recipe(archive), progress)), is_ours=True)
