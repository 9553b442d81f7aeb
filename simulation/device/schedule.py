"""When records become due: all at once, or with their recorded spacing divided by a factor."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from simulation.device.records import Ints

_MS_PER_S: Final = 1000


class Schedule(Protocol):
    """Decides how many records a tracker has at a moment."""

    def due(self, times_ms: Ints, first: int) -> int:
        """Records below this index are due; at least `first`. `times_ms` ascends."""

    def seconds_until(self, time_ms: int) -> float:
        """How long until a record of this device time is due; 0 or less if it is."""


class AtOnce:
    """A tracker with a backlog: everything is due."""

    def due(self, times_ms: Ints, first: int) -> int:
        """All of them."""
        return len(times_ms)

    def seconds_until(self, time_ms: int) -> float:
        """No time at all."""
        return 0.0


@dataclass(frozen=True, slots=True)
class AsRecorded:
    """Recorded spacing, `speedup` times as fast.

    Attributes:
        anchor_ms: the device time that is now when the clock shows `anchor_s`.
        anchor_s: a moment on the clock.
        speedup: recorded seconds for each second of the clock.
        clock: monotonic seconds.
    """

    anchor_ms: int
    anchor_s: float
    speedup: float = 1.0
    clock: Callable[[], float] = time.monotonic

    def due(self, times_ms: Ints, first: int) -> int:
        """Those whose time has come."""
        now_ms = self.anchor_ms + (self.clock() - self.anchor_s) * self.speedup * _MS_PER_S
        return max(first, int(np.searchsorted(times_ms, now_ms, "right")))

    def seconds_until(self, time_ms: int) -> float:
        """Seconds of the clock."""
        due_s = self.anchor_s + (time_ms - self.anchor_ms) / (self.speedup * _MS_PER_S)
        return due_s - self.clock()
