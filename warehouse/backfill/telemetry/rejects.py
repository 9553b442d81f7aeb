"""Rows that are set aside: the reasons, their counts, and a bounded number of examples."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

EXAMPLES: Final = 100
"""Rows kept per file and reason; all are counted."""
MAX_ROW_CHARACTERS: Final = 2_000
_REPLACEMENT: Final = "\ufffd"


class Reason(StrEnum):
    """Why rows are set aside."""

    UNREADABLE_FILE = "the file cannot be read on from here"
    NO_COLUMN = "the file lacks a column that it needs"
    EMPTY_FILE = "the file is empty"
    RAGGED = "another number of fields than the header"
    LONG_LINE = "a line longer than 8 MiB"
    NO_JSON = "not one JSON object"
    NOT_UTF8 = "text that is not UTF-8"
    NO_TIME = "no time, or none that can be read"
    NO_SUCH_LOCAL_TIME = "a local time that clocks leave out"
    TOO_EARLY = "before PISTON_DEVICE_TIME_EARLIEST"
    TOO_LATE = "further ahead than PISTON_DEVICE_TIME_AHEAD_H"
    NO_VEHICLE = "neither a VIN nor a device"
    MALFORMED_VIN = "malformed VIN"
    UNKNOWN_VEHICLE = "unknown vehicle"
    OTHER_RANGE = "VIN outside the range of its origin"
    MALFORMED_DEVICE = "malformed device_id"
    UNKNOWN_DEVICE = "unknown device"
    NOT_A_NUMBER = "a value is no number"
    NOT_A_FLAG = "a value is neither true nor false"
    OUT_OF_RANGE = "a value is out of range"
    BAD_CODES = "a value is no list of trouble codes"
    BAD_SOURCE = "a value is no odometer source"
    BAD_JSON = "a value is no JSON object"
    HALF_POSITION = "a latitude without a longitude, or the reverse"


REASONS: Final = tuple(Reason)
"""A row's code is the place of its reason here, plus 1; 0 is a good row."""
CODES: Final = {reason: code for code, reason in enumerate(REASONS, 1)}


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was set aside, or several that could not be read at all."""

    file: str
    row_number: int
    """The first row is 1, a header is not counted; 0 is the file as a whole."""
    reason: Reason
    detail: str
    """What about it: a column's name, or a reader's words. No value."""
    row: str = ""
    row_count: int = 1


def readable(text: str | bytes) -> str:
    """Text that PostgreSQL takes: no NUL, no lone surrogate, no more than is worth keeping."""
    if isinstance(text, bytes):
        text = text[: MAX_ROW_CHARACTERS * 4].decode("utf-8", "replace")
    text = text[:MAX_ROW_CHARACTERS].replace("\x00", _REPLACEMENT)
    return text.encode("utf-8", "replace").decode()


@dataclass(slots=True)
class Rejects:
    """What was set aside of one file, or, added up, of many."""

    counts: Counter[tuple[str, Reason]] = field(default_factory=Counter)
    examples: dict[tuple[str, Reason], list[Reject]] = field(default_factory=dict)

    def add(self, reject: Reject) -> None:
        """Count it, and keep it while there is room."""
        self.counts[reject.file, reject.reason] += reject.row_count
        self.keep(reject)

    def keep(self, reject: Reject) -> None:
        """Keep it as an example, uncounted."""
        if self.has_room(reject.file, reject.reason):
            self.examples.setdefault((reject.file, reject.reason), []).append(reject)

    def has_room(self, file: str, reason: Reason) -> bool:
        """Whether another example would be kept."""
        return len(self.examples.get((file, reason), ())) < EXAMPLES

    def update(self, other: "Rejects") -> None:
        """Add another file's."""
        self.counts.update(other.counts)
        self.examples.update(other.examples)

    @property
    def total(self) -> int:
        """Rows set aside."""
        return sum(self.counts.values())

    def kept(self) -> Iterator[Reject]:
        """Every example."""
        for found in self.examples.values():
            yield from found
