"""NDJSON: blocks of lines through Arrow's reader; a block that it trips over goes line by line.

Arrow wants one type for a column and an object on every line. Where that does not hold, each line is parsed
alone and its values are written as text, which is then read like a CSV file's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json as pa_json

from warehouse.backfill.telemetry.batches import Batch, RowFile, number_range
from warehouse.backfill.telemetry.lines import Block, LineFile
from warehouse.backfill.telemetry.rejects import Reason, Reject, readable

_LOOKED_AT: Final = 100
"""First lines in which columns are looked for; a column that comes later is found in a block of its own."""


class NdjsonFile(RowFile):
    """A file of one JSON object a line."""

    def __init__(self, path: Path, name: str, codec: str | None) -> None:
        self._name = name
        self._file = LineFile(path, name, codec)
        self._blocks = self._file.blocks()
        self.rejects: list[Reject] = self._file.rejects
        self._first = next(self._blocks, None)
        self.names: list[str] = []
        self._texts: set[str] = set()
        for line in self._first.content.split(b"\n", _LOOKED_AT)[:_LOOKED_AT] if self._first else ():
            for key, value in (_object(line) or {}).items():
                if key not in self.names:
                    self.names.append(key)
                if isinstance(value, str):
                    self._texts.add(key)

    def batches(self, columns: list[str]) -> Iterator[Batch]:
        """See `RowFile`."""
        if self._first is not None:
            yield self._batch(self._first, columns)
            self._first = None
        for block in self._blocks:
            yield self._batch(block, columns)

    def _batch(self, block: Block, columns: list[str]) -> Batch:
        try:
            return self._at_once(block, columns)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            return self._line_by_line(block, columns)

    def _at_once(self, block: Block, columns: list[str]) -> Batch:
        # text that looks like a time is text: its zone matters
        schema = pa.schema([(name, pa.string()) for name in columns if name in self._texts])
        table = pa_json.read_json(
            pa.BufferReader(block.content),
            pa_json.ReadOptions(use_threads=False, block_size=len(block.content) + 1),
            pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
        )
        if len(table) != block.line_count:
            message = "there is not one object on each line"
            raise pa.ArrowInvalid(message)
        wanted = [name for name in columns if name in table.column_names]
        if any(pa.types.is_timestamp(table.schema.field(name).type) for name in wanted):
            message = "a column of times was not known to be text"
            raise pa.ArrowInvalid(message)
        lines: list[bytes] = []

        def text_of(place: int) -> bytes:
            if not lines:
                lines.extend(block.lines())
            return lines[place]

        return Batch(table.select(wanted), number_range(block.first_line, len(table)), text_of)

    def _line_by_line(self, block: Block, columns: list[str]) -> Batch:
        found: dict[str, list[str | None]] = {name: [] for name in columns}
        kept: list[int] = []
        rejects: list[Reject] = []
        lines = block.lines()
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            row = _object(line)
            if row is None:
                reject = Reject(self._name, block.first_line + number, Reason.NO_JSON, "", readable(line))
                rejects.append(reject)
                continue
            kept.append(number)
            for name, values in found.items():
                values.append(_text(row.get(name)))
        table = pa.table({name: pa.array(values, pa.string()) for name, values in found.items()})
        return Batch(
            table,
            np.array(kept, np.int64) + block.first_line,
            lambda place: lines[kept[place]],
            rejects,
        )


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return orjson.dumps(value).decode()
