"""How far the reading of a history is, said now and then."""

import time
from typing import Final

from warehouse.backfill.telemetry.sources import Source, SourceFile
from warehouse.progress import Progress

SAYS_EVERY_S: Final = 2.0


class Telling:
    """Says how far the reading is, at most every two seconds and after each file."""

    def __init__(self, progress: Progress, source: Source) -> None:
        self._progress = progress
        self._count = len(source.files)
        self._started = self._said = time.monotonic()

    def rows(self, read: int) -> None:
        """So many rows are read."""
        now = time.monotonic()
        if now - self._said >= SAYS_EVERY_S:
            self._said = now
            self._progress(f"{read:,} rows read, {read / (now - self._started):,.0f} a second")

    def file(self, file: SourceFile, read: int) -> None:
        """A file is done."""
        now = time.monotonic()
        if file.number + 1 == self._count or now - self._said >= SAYS_EVERY_S:
            self._said = now
            self._progress(f"{file.number + 1} of {self._count} files, {read:,} rows read")
