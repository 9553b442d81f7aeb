"""Maven, which fetches Kafka and Elasticsearch: the machine's own, else Debian's, unpacked privately."""

import os
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path

from stack.install.debian import DebianArchive, relink_inside
from stack.install.programs import Progress, Recipe, install


def recipe(archive: Callable[[], DebianArchive]) -> Recipe:
    """How Debian's Maven is unpacked. It is Java only, so nothing of the system below it is needed."""

    def build(target: Path) -> None:
        archive().unpack("maven", lambda name: name == "maven" or name.endswith("-java"), target)
        relink_inside(target)

    return Recipe("maven", "debian", build)


def ensure_maven(programs: Path, archive: Callable[[], DebianArchive], progress: Progress) -> Path:
    """The `mvn` program.

    Raises:
        InstallError: there is none and it cannot be fetched.
    """
    if found := shutil.which("mvn"):
        return Path(found)
    return install(programs, recipe(archive), progress) / "usr/share/maven/bin/mvn"


def repository_options(target: Path) -> list[str]:
    """Where Maven keeps what it fetched: its usual place if the user has a home, else beside the build.

    Java takes the home from the account, whatever $HOME says.
    """
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's user without an account
        home = "/nonexistent"
    return [] if os.access(home, os.W_OK) else [f"-Dmaven.repo.local={target}/.repository"]
