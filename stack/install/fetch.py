"""Running the package managers that fetch programs, with their failure as one sentence."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stack.errors import InstallError

_TIMEOUT_S = 900.0
_SAID_CHARS = 300
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def run_tool(
    command: list[str], what: str, advice: str, *, environment: Mapping[str, str] | None = None, cwd: Path
) -> str:
    """Run a package manager to its end; returns what it wrote to standard output.

    Args:
        command: the program and its arguments.
        what: what was being done, for the error's sentence.
        advice: what to do if it fails.
        environment: variables added to this process's own.
        cwd: the folder it runs in.

    Raises:
        InstallError: it is missing, failed or took longer than 15 minutes.
    """
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        message = f"{what}: {command[0]} is missing; {advice}"
        raise InstallError(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"{what}: {command[0]} did not end within {_TIMEOUT_S:.0f} s; {advice}"
        raise InstallError(message) from error
    if done.returncode != 0:
        message = f"{what}: {Path(command[0]).name} failed ({_said(done.stderr + done.stdout)}); {advice}"
        raise InstallError(message)
    return done.stdout


def _said(output: str) -> str:
    plain = _COLOURS.sub("", output)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("E:", "[ERROR]", "error:", "ERROR"))]
    return (telling or lines[-1:] or ["it said nothing"])[0][:_SAID_CHARS]
