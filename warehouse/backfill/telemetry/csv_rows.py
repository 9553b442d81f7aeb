"""CSV: blocks of lines through Arrow's reader; a block that it trips over goes line by line.

A line is a row: a quoted field may hold the delimiter, and no end of line. Fields stay bytes where they are
text, so that an encoding other than UTF-8 in one row is that row's matter alone.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from warehouse.backfill.telemetry.batches import Batch, RowFile
from warehouse.backfill.telemetry.lines import Block, LineFile
from warehouse.backfill.telemetry.rejects import Reason, Reject, readable

_DELIMITERS: Final = (",", ";", "\t", "|")
_LONGEST_FIELD: Final = 1 << 24


class CsvFile(RowFile):
    """A CSV file whose first line names its columns."""

    def __init__(
        self,
        path: Path,
        name: str,
        codec: str | None,
        *,
        delimiter: str | None,
        nulls: Sequence[str],
        numeric: frozenset[str],
    ) -> None:
        """Read the header.

        Args:
            path: the file.
            name: what it is called in reports.
            codec: Arrow's name of the compression around it.
            delimiter: between fields; by default the one that the header has most of.
            nulls: texts that stand for nothing.
            numeric: columns worth being tried as numbers first.
        """
        self._name = name
        self._nulls = list(nulls)
        self._numeric = numeric
        self._file = LineFile(path, name, codec, header_lines=1)
        self._blocks = self._file.blocks()
        self.rejects: list[Reject] = self._file.rejects
        self._first = next(self._blocks, None)
        header = b"" if self._first is None else self._first.content.split(b"\n", 1)[0].rstrip(b"\r")
        # a header in Latin-1 is common: a degree sign or an umlaut in a unit
        try:
            text = header.decode()
        except UnicodeDecodeError:
            text = header.decode("latin-1")
        self._delimiter = delimiter or max(_DELIMITERS, key=text.count)
        self.names: list[str] = [name.strip() for name in _fields(text.replace("\0", ""), self._delimiter)]

    def batches(self, columns: list[str]) -> Iterator[Batch]:
        """See `RowFile`."""
        if self._first is None:
            return
        head, _, rest = self._first.content.partition(b"\n")
        wanted = [name for name in columns if name in self.names]
        if rest:
            yield self._batch(Block(rest, self._first.first_line + 1), wanted)
        del head
        self._first = None
        for block in self._blocks:
            yield self._batch(block, wanted)

    def _batch(self, block: Block, wanted: list[str]) -> Batch:
        for numeric in (self._numeric, frozenset[str]()):
            try:
                return self._at_once(block, wanted, numeric)
            except pa.ArrowInvalid:
                # a text where a number was hoped for, or a line that Arrow does not get past
                continue
        return self._line_by_line(block, wanted)

    def _at_once(self, block: Block, wanted: list[str], numeric: frozenset[str]) -> Batch:
        ragged: list[int] = []

        def note(row: Any) -> str:
            ragged.append(row.number)
            return "skip"

        table = pa_csv.read_csv(
            pa.BufferReader(block.content),
            pa_csv.ReadOptions(column_names=self.names, block_size=len(block.content) + 1, use_threads=False),
            pa_csv.ParseOptions(
                delimiter=self._delimiter,
                ignore_empty_lines=False,
                # Arrow hands ragged lines over as text, whatever they are
                invalid_row_handler=note if _is_utf8(block.content) else None,
            ),
            pa_csv.ConvertOptions(
                column_types={name: pa.float64() if name in numeric else pa.binary() for name in wanted},
                include_columns=wanted,
                null_values=self._nulls,
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        line_count = block.line_count
        if len(table) + len(ragged) != line_count:
            message = "a quoted field goes over the end of its line"
            raise pa.ArrowInvalid(message)
        lines: list[bytes] = []

        def text_of(line: int) -> bytes:
            if not lines:
                lines.extend(block.lines())
            return lines[line]

        places = np.delete(np.arange(line_count), np.array(ragged, np.int64) - 1)
        rejects = [self._ragged(block, line - 1, text_of(line - 1)) for line in ragged]
        # of a line without anything there is nothing to say
        empty = np.ones(len(table), np.bool_)
        for name in wanted:
            empty &= table.column(name).is_null().to_numpy()
        for place in np.flatnonzero(empty):
            empty[place] = not text_of(int(places[place])).strip()
        if empty.any():
            table, places = table.filter(pa.array(~empty)), places[~empty]
        return Batch(
            table,
            places + (block.first_line - 1),
            lambda place: text_of(int(places[place])),
            [reject for reject in rejects if reject.row],
        )

    def _ragged(self, block: Block, line: int, text: bytes) -> Reject:
        return Reject(
            self._name, block.first_line + line - 1, Reason.RAGGED, "", readable(text) if text.strip() else ""
        )

    def _line_by_line(self, block: Block, wanted: list[str]) -> Batch:
        places = [self.names.index(name) for name in wanted]
        rows: list[list[bytes]] = []
        kept: list[int] = []
        rejects: list[Reject] = []
        lines = block.lines()
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            found = _fields(line.decode("utf-8", "surrogateescape").replace("\0", "\ufffd"), self._delimiter)
            if len(found) == len(self.names):
                rows.append([found[place].encode("utf-8", "surrogateescape") for place in places])
                kept.append(number)
            else:
                rejects.append(self._ragged(block, number, line))
        nulls = pa.array([null.encode() for null in self._nulls], pa.binary())
        arrays = []
        for place in range(len(wanted)):
            column = pa.array([row[place] for row in rows], pa.binary())
            arrays.append(pc.if_else(pc.is_in(column, value_set=nulls), pa.scalar(None, pa.binary()), column))
        return Batch(
            pa.Table.from_arrays(arrays, wanted),
            np.array(kept, np.int64) + (block.first_line - 1),
            lambda place: lines[kept[place]],
            rejects,
        )


def _is_utf8(content: bytes) -> bool:
    if content.isascii():
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fields(line: str, delimiter: str) -> list[str]:
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
