"""Where everything of one stack lies.

Programs are shared by all stacks of a machine; data, logs, process ids and state belong to one stack. The
folders:

    PROGRAMS/<program>-<version>/      installed once, never written again
    DATA/{kafka,timescale,clickhouse,valkey,elasticsearch}/   a server's data, owned by the user who runs it
    DATA/log/     one file per process, rotated
    DATA/run/     generated configuration, process ids, the supervisor's socket; closed to others
    DATA/state/   the stack's identity and other small state that must survive
"""

import hashlib
import os
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from stack.errors import PreflightError
from telematics.settings import Settings

_SUN_PATH_LIMIT = 87
"""sockaddr_un holds 107 bytes; the longest name put below is `/.s.PGSQL.65535.lock`, of 20 bytes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one stack."""

    programs: Path
    data: Path

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """The folders that the settings name."""
        return cls(programs=settings.programs, data=settings.data)

    @property
    def run(self) -> Path:
        """Generated configuration, process ids, locks."""
        return self.data / "run"

    @property
    def log(self) -> Path:
        """Log files."""
        return self.data / "log"

    @property
    def state(self) -> Path:
        """Small state that must survive."""
        return self.data / "state"

    @property
    def supervisor_config(self) -> Path:
        """What supervisord reads."""
        return self.run / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        """Where supervisord writes its process id."""
        return self.run / "supervisord.pid"

    def pid_file(self, name: str) -> Path:
        """Where a supervised process leaves its id before it turns into the server."""
        return self.run / f"{name}.pid"

    def server_data(self, name: str) -> Path:
        """Data folder of a server."""
        return self.data / name

    def server_log(self, name: str) -> Path:
        """Log file of a server or service."""
        return self.log / f"{name}.log"

    def sockets(self, purpose: str) -> Path:
        """A folder for Unix sockets whose path the kernel can hold (unix(7): 107 bytes).

        Below the data folder if that is short enough, else in the temporary folder under a name that
        follows from the data folder. The caller creates it; see `make_private`.
        """
        inside = self.data / "socket" / purpose
        if len(os.fsencode(inside)) <= _SUN_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"piston-{digest}-{purpose}"

    def identity(self) -> str:
        """The stack's own name, made once and kept: servers carry it, so that probes know ours."""
        path = self.state / "stack_id"
        if path.exists():
            return path.read_text().strip()
        self.state.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(uuid.uuid4().hex[:16] + "\n")
        try:
            path.hardlink_to(fresh)  # the first of two that race wins
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        return path.read_text().strip()


def make_private(folder: Path, uid: int, gid: int, mode: int = 0o700) -> None:
    """Create the folder if need be and give it to the user, with the mode.

    Raises:
        PreflightError: it is a link or belongs to a stranger, so it must not be trusted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or (found.st_uid not in (uid, os.geteuid()) and os.geteuid() != 0):
        message = f"{folder} belongs to another user; remove it or set PISTON_DATA_DIR to another folder"
        raise PreflightError(message)
    if found.st_uid != uid and os.geteuid() == 0:
        _give(folder, uid, gid)
    folder.chmod(mode)


def _give(folder: Path, uid: int, gid: int) -> None:
    """Hand the folder and all in it to the user: PISTON_SERVER_USER or the way to the programs changed."""
    os.chown(folder, uid, gid)
    for inside, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.lchown(Path(inside) / name, uid, gid)


def write_private(path: Path, text: str, uid: int, gid: int, mode: int = 0o600) -> bool:
    """Write a configuration file that only its user can read; returns whether it changed.

    The file is replaced whole, never half written, and no other user can open it at any moment.
    """
    if path.exists() and path.read_text() == text and path.stat().st_uid == uid:
        return False
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if os.geteuid() == 0:
        os.chown(fresh, uid, gid)
    fresh.chmod(mode)
    fresh.replace(path)
    return True
