"""Processor time of running servers, with all that they started (Linux: proc(5))."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stack.processes import family

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_OWN: Final = slice(11, 13)
"""utime and stime, counted after the name in brackets."""
_OWN_AND_COLLECTED: Final = slice(11, 15)
"""The same, cutime and cstime."""


def process_seconds(process_id: int) -> float:
    """User and system time of a process with all its threads, in steps of the kernel's clock (10 ms)."""
    return _seconds(process_id, _OWN)


def family_seconds(process_id: int) -> float:
    """User and system time of a process and its descendants, with those that ended and were collected."""
    return sum(_seconds(member, _OWN_AND_COLLECTED) for member in family(process_id))


def _seconds(process_id: int, fields: slice) -> float:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:  # it ended between two looks
        return 0.0
    return sum(map(int, stat.rpartition(")")[2].split()[fields])) * _TICK_S


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
