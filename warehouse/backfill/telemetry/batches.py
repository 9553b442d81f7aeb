"""What every format is read into: rows as columns under the file's own names, a bounded number at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.backfill.telemetry.rejects import Reject

BATCH_ROWS: Final = 131_072
RowNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file, and those of them that could not even be taken apart."""

    table: pa.Table
    """The columns that were asked for and exist."""
    numbers: RowNumbers
    """Of each row; the file's first is 1, a header is not counted."""
    text_of: Callable[[int], str | bytes]
    """A row as it stands in the file, by its place in the table."""
    rejects: list[Reject] = field(default_factory=list)


class RowFile(Protocol):
    """One open file."""

    names: list[str]
    """Its columns."""
    rejects: list[Reject]
    """What is wrong with the file as a whole; complete once the batches are through."""

    def batches(self, columns: list[str]) -> Iterator[Batch]:
        """Its rows, with these columns as far as they exist."""
        ...


def number_range(first: int, count: int) -> RowNumbers:
    """Row numbers that follow one another."""
    return np.arange(first, first + count, dtype=np.int64)
