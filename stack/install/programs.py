"""One folder per installed program: built aside, renamed into place, never half there.

Several stacks and several `piston up` share the folder, so a build holds a lock; a stamp file inside says
by which recipe it was built, so that a second run is a single stat.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.errors import InstallError

Progress = Callable[[str], None]

_STAMP = ".piston-installed"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to build: the name and version make the folder's name.

    `revision` goes up when the way of building changes while the version stays.
    """

    name: str
    version: str
    build: Callable[[Path], None]
    revision: int = 1

    @property
    def folder_name(self) -> str:
        """Name of the folder below the programs folder."""
        return f"{self.name}-{self.version}"

    @property
    def stamp(self) -> str:
        """What the stamp file of a finished build says."""
        return f"{self.folder_name} revision {self.revision}\n"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file; the kernel releases it however the process ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_installed(programs: Path, recipe: Recipe) -> bool:
    """Whether the recipe's folder stands finished."""
    try:
        return (programs / recipe.folder_name / _STAMP).read_text() == recipe.stamp
    except OSError:
        return False


def install(programs: Path, recipe: Recipe, progress: Progress) -> Path:
    """The folder of the program, built first if it is missing.

    Raises:
        InstallError: the build failed, or the programs folder cannot be written; nothing is left behind.
    """
    final = programs / recipe.folder_name
    if is_installed(programs, recipe):
        return final
    try:
        programs.mkdir(parents=True, exist_ok=True, mode=0o755)
        with locked(programs / f".{recipe.name}.lock"):
            if not is_installed(programs, recipe):  # the one before us may have built it
                started = time.monotonic()
                progress(f"{recipe.folder_name}: installing")
                _build(programs, recipe)
                progress(f"{recipe.folder_name}: installed in {time.monotonic() - started:.1f} s")
    except PermissionError as error:
        message = (
            f"cannot install {recipe.folder_name} into {programs}: {error.strerror}; "
            "set PISTON_PROGRAMS_DIR to a folder of yours"
        )
        raise InstallError(message) from error
    return final


def _build(programs: Path, recipe: Recipe) -> None:
    part = programs / f".{recipe.folder_name}.part"
    shutil.rmtree(part, ignore_errors=True)  # of an install that was killed: we hold the lock
    part.mkdir(mode=0o755)
    try:
        recipe.build(part)
        part.chmod(0o755)  # whatever the umask: the servers' user enters here
        (part / _STAMP).write_text(recipe.stamp)
        final = programs / recipe.folder_name
        if final.exists():  # of an older revision; running servers keep their open files
            old = programs / f".{recipe.folder_name}.old-{os.getpid()}"
            final.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        part.rename(final)
    finally:
        shutil.rmtree(part, ignore_errors=True)
