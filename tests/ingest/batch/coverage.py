"""What a long run of generated input covered, required and shown; and that it took no memory for good."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

Groups = Mapping[str, Sequence[str]]
"""Title → the classes of which each has to occur."""

_WARM_UP = 10
"""Rounds until caches, pools and compiled code have their size."""
_GROWTH_MIB = 32.0
"""More than the allocator's play between two rounds; a leak of 40 bytes a frame shows within a million."""


def require(seen: Counter[str], groups: Groups, at_least: int) -> None:
    """Every class occurred so often.

    Raises:
        AssertionError: one did not: the input does not cover what the test says it does.
    """
    rare = [name for names in groups.values() for name in names if seen[name] < at_least]
    assert not rare, f"less than {at_least} of {rare}"


def show(capsys: pytest.CaptureFixture[str], headline: str, seen: Counter[str], groups: Groups) -> None:
    """Print a line for each class, whatever pytest captures."""
    lines = [f"\n{headline}."]
    for title, names in groups.items():
        lines += [f"  {title}:"] + [f"    {name:<32}{seen[name]:>12,}" for name in names]
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")


class SteadyMemory:
    """Resident memory of this process, which after some rounds stays as it is."""

    def __init__(self) -> None:
        self._rounds = 0
        self._settled_mib = 0.0

    def check(self) -> None:
        """Call it once a round.

        Raises:
            AssertionError: memory grew.
        """
        self._rounds += 1
        if self._rounds <= _WARM_UP:
            self._settled_mib = _resident_mib()
            return
        grown = _resident_mib() - self._settled_mib
        assert grown < _GROWTH_MIB, f"{grown:.0f} MiB more than after round {_WARM_UP}"


def _resident_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
