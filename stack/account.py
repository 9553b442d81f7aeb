"""Who runs the servers.

PostgreSQL refuses root, and no server needs it: started by root, they run as `PISTON_SERVER_USER`; started
by anybody else, as that user. Programs are entered through setpriv (util-linux), which also makes the
kernel end a server whose supervisor was killed.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stack.errors import PreflightError
from telematics.settings import Settings


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    @property
    def is_self(self) -> bool:
        """Whether this process already runs as that user."""
        return self.uid == os.geteuid()

    def enter(self) -> list[str]:
        """The words before a command that make it run as this user, without root's rights."""
        if self.is_self:
            return []
        return [
            setpriv_or_fail(),
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            "--inh-caps=-all",
            "--no-new-privs",
        ]

    def run(self, command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end as this user, with exactly this environment and no input."""
        return subprocess.run(
            [*self.enter(), *command],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def own_account() -> Account:
    """The user of this process."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # containers run under ids without a name
        name = str(uid)
    return Account(name, uid, os.getegid())


def server_account(settings: Settings) -> Account:
    """The user who runs the servers.

    Raises:
        PreflightError: PISTON_SERVER_USER names nobody on this machine, or names root.
    """
    if os.geteuid() != 0:
        return own_account()
    wanted = [settings.server_user] if settings.server_user else ["postgres", "nobody"]
    for name in wanted:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            message = "PISTON_SERVER_USER is root, which PostgreSQL refuses; name an ordinary user"
            raise PreflightError(message)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    message = f"there is no user {' or '.join(wanted)} on this machine; set PISTON_SERVER_USER to one"
    raise PreflightError(message)


@cache
def setpriv() -> str | None:
    """Path of setpriv, if this machine has it."""
    return shutil.which("setpriv")


def setpriv_or_fail() -> str:
    """Path of setpriv.

    Raises:
        PreflightError: it is missing.
    """
    path = setpriv()
    if path is None:
        message = (
            "setpriv is missing, which starts the servers as an ordinary user; install util-linux, "
            "or run piston as an ordinary user"
        )
        raise PreflightError(message)
    return path


def can_enter(account: Account, folder: Path) -> bool:
    """Whether the account can go through every parent folder and read the folder itself."""
    if account.is_self:
        return os.access(folder, os.R_OK | os.X_OK)
    done = account.run(["/usr/bin/test", "-r", str(folder), "-a", "-x", str(folder)], {"LC_ALL": "C"})
    return done.returncode == 0


def first_closed(account: Account, folder: Path) -> Path | None:
    """The outermost folder on the way that the account cannot go through, or None."""
    for step in [*reversed(folder.parents), folder]:
        if not step.exists():
            return None
        mode, owner, group = step.stat().st_mode, step.stat().st_uid, step.stat().st_gid
        bit = 0o100 if owner == account.uid else 0o010 if group == account.gid else 0o001
        if not mode & bit:
            return step
    return None


def require_reachable(account: Account, folder: Path, setting: str) -> None:
    """Check that the account can reach the folder.

    Raises:
        PreflightError: a parent is closed to it; the message names the parent and the setting.
    """
    closed = first_closed(account, folder)
    if closed is None:
        return
    message = (
        f"{closed} is closed to the user {account.name}, who runs the servers; set {setting} (or "
        f"PISTON_HOME) to a folder that this user can reach, or open it: chmod a+x {closed}"
    )
    raise PreflightError(message)
