"""Processes that kill themselves at a step: what they are made of, and how a test runs one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from telematics.settings import Settings


def die(*_: Any, **__: Any) -> None:
    """What a power button does to a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(work: Callable[..., Any], condition: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
    """The same work, and then the end."""

    def wrapped(*arguments: Any, **options: Any) -> Any:
        result = work(*arguments, **options)
        if condition(*arguments):
            die()
        return result

    return wrapped


def die_in(module: str, settings: Settings, folder: Path, *arguments: object) -> None:
    """Run `python -m module SETTINGS_FILE ARGUMENTS…`, which has to be killed by itself."""
    values = settings.model_dump(mode="json") | {
        name: getattr(settings, name).get_secret_value()
        for name in type(settings).model_fields
        if isinstance(getattr(settings, name), SecretStr)
    }
    file = folder / "settings.json"
    file.write_text(json.dumps(values))
    ended = subprocess.run(
        [sys.executable, "-m", module, str(file), *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
