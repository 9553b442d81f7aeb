"""Parquet: a row group at a time; a damaged one is counted and the next one read.

Files of our own archive may have columns in a shorter form and say so (`warehouse.archive.derived`); here
they have them like all others.
"""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.archive import derived
from warehouse.archive.errors import DamagedError
from warehouse.backfill.telemetry.batches import BATCH_ROWS, Batch, RowFile, number_range
from warehouse.backfill.telemetry.rejects import Reason, Reject, readable


class ParquetFile(RowFile):
    """A Parquet file; without a sound footer it has no columns and no rows."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self.names: list[str] = []
        self.rejects: list[Reject] = []
        self._rules: tuple[derived.Rule, ...] = ()
        try:
            with pq.ParquetFile(path) as file:
                schema, metadata = file.schema_arrow, file.metadata.metadata
            rules = derived.rules_of(schema, metadata, name)
            # one that others wrote anew may have kept the word and lost the integers: it lacks the column
            self._rules = tuple(rule for rule in rules if rule.can_be_made(schema))
            self.names = derived.names_of(schema, self._rules)
        except DamagedError as error:
            self._set_aside(0, _first_line(error), 1)
        except (pa.ArrowException, OSError) as error:
            self._set_aside(0, f"no sound Parquet footer: {_first_line(error)}", 1)

    def _set_aside(self, row_number: int, detail: str, row_count: int) -> None:
        self.rejects.append(
            Reject(self._name, row_number, Reason.UNREADABLE_FILE, readable(detail), row_count=row_count)
        )

    def batches(self, columns: list[str]) -> Iterator[Batch]:
        """See `RowFile`."""
        if not self.names:
            return
        wanted = [name for name in columns if name in self.names]
        read_columns = derived.needed(wanted, self._rules)
        first = 1
        with pq.ParquetFile(self._path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                row_count = file.metadata.row_group(group).num_rows
                read = 0
                try:
                    for batch in file.iter_batches(
                        BATCH_ROWS, row_groups=[group], columns=read_columns, use_threads=False
                    ):
                        batch.validate()
                        yield _batch(derived.completed(batch, wanted, self._rules), first + read)
                        read += len(batch)
                except (pa.ArrowException, OSError) as error:
                    lost = row_count - read
                    detail = f"{lost} rows of row group {group + 1}: {_first_line(error)}"
                    self._set_aside(first + read, detail, lost)
                first += row_count


def _batch(rows: pa.RecordBatch, first: int) -> Batch:
    def text_of(place: int) -> bytes:
        try:
            return orjson.dumps(rows.slice(place, 1).to_pylist()[0], default=str)
        except (pa.ArrowException, ValueError, OverflowError, TypeError):
            # a moment that Python's own types cannot hold, or text that is none
            return str(rows.slice(place, 1)).encode("utf-8", "replace")

    return Batch(pa.Table.from_batches([rows]), number_range(first, len(rows)), text_of)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
