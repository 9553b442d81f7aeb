"""Processor time of running servers, with all that they started (Linux: proc(5))."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stack.processes import family

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_OWN_AND_COLLECTED: Final = slice(11, 15)
"""utime, stime, cutime and cstime, counted after the name in brackets."""


def family_seconds(process_id: int) -> float:
    """User and system time of a process and its descendants, with those that ended and were collected."""
    return sum(map(_seconds, family(process_id)))


def _seconds(process_id: int) -> float:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:  # it ended between two looks
        return 0.0
    return sum(map(int, stat.rpartition(")")[2].split()[_OWN_AND_COLLECTED])) * _TICK_S


class ProcessorWatch:
    """Processor seconds of named processes since this object was made."""

    def __init__(self, process_ids: Mapping[str, int]) -> None:
        self._process_ids = process_ids
        self._before = self._read()

    def _read(self) -> dict[str, float]:
        return {name: family_seconds(process_id) for name, process_id in self._process_ids.items()}

    def seconds(self) -> dict[str, float]:
        """Name → seconds until now."""
        now = self._read()
        return {name: now[name] - before for name, before in self._before.items()}
