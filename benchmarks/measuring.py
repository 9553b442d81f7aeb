"""Processor time, medians, the machine, and whether a baseline counts.

Time is the process's own processor time (user and system), so that what else runs on the machine matters
less; what is compared runs in turns, so that what matters nevertheless hits both. Figures are medians.

CALIBRATION. The reference figures come from another machine. A loop of plain Python whose time on that
machine is known says how much faster or slower this one is at running Python; a baseline counts when it is
within 1.5 times its reference figure after that scaling. The loop is the checksum of 1,500 bytes by table,
byte by byte. The reference figures give 27 to 79 µs for table-driven ones; the plain loop is the slow end.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

Figures = dict[str, float]

CALIBRATION_REFERENCE_US: Final = 79.0
TOLERANCE: Final = 1.5
_CALIBRATION_BYTES: Final = bytes(range(250)) * 6
_CALIBRATION_LOOPS: Final = 20
_POLYNOMIAL: Final = 0xA001


@dataclass(frozen=True, slots=True)
class Report:
    """What a benchmark prints.

    Attributes:
        benchmark: its name.
        figures: name → number.
        notes: sentences for people: what was compared, and which ratios do not count.
    """

    benchmark: str
    figures: Figures
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As printed by `--json`."""
        figures = {name: float(f"{value:.4g}") for name, value in self.figures.items()}
        return {
            "benchmark": self.benchmark,
            "figures": figures,
            "machine": describe_machine(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class BaselineCheck:
    """How a baseline compares with its reference figure, both in microseconds.

    Attributes:
        name: of the baseline.
        measured_us: here.
        reference_us: there.
        scale: time of the calibration loop here, divided by its time there.
    """

    name: str
    measured_us: float
    reference_us: float
    scale: float

    @property
    def quotient(self) -> float:
        """Measured ÷ expected on this machine: 1 is the reference's pace, more is slower."""
        return self.measured_us / (self.reference_us * self.scale)

    @property
    def counts(self) -> bool:
        """Whether a ratio to this baseline means anything."""
        return 1 / TOLERANCE <= self.quotient <= TOLERANCE

    def note(self) -> str:
        """A sentence for people."""
        verdict = "the ratio counts" if self.counts else "THE RATIO DOES NOT COUNT"
        return (
            f"{self.name}: {self.measured_us:.2f} µs here, {self.reference_us * self.scale:.2f} µs expected "
            f"(reference {self.reference_us} µs × calibration {self.scale:.2f}), quotient "
            f"{self.quotient:.2f}, at most {TOLERANCE}: {verdict}"
        )


def in_turns(rounds: int, *works: Callable[[], object]) -> list[list[float]]:
    """Processor seconds of each piece of work in each round; all pieces run once in every round."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for place, work in enumerate(works):
            started = time.process_time()
            work()
            seconds[place].append(time.process_time() - started)
    return seconds


def calibrate() -> None:
    """The calibration loop, `calibration_us` microseconds of it."""
    for _ in range(_CALIBRATION_LOOPS):
        checksum = 0
        for byte in _CALIBRATION_BYTES:
            checksum = checksum >> 8 ^ _TABLE[(checksum ^ byte) & 0xFF]


def calibration_scale(seconds: Sequence[float]) -> float:
    """How much slower than the reference machine this one runs Python, from times of `calibrate`."""
    return median(seconds) / _CALIBRATION_LOOPS * 1e6 / CALIBRATION_REFERENCE_US


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE: Final = tuple(map(_entry, range(256)))


def describe_machine() -> dict[str, Any]:
    """Processor, cores, Python, and how busy it was."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def spread(seconds: Sequence[float]) -> str:
    """Least and greatest, relative to the median."""
    middle = median(seconds)
    return f"{min(seconds) / middle:.2f} to {max(seconds) / middle:.2f} of the median"


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
