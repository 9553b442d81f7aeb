"""Rows as the bytes of PostgreSQL's COPY BINARY (documentation of COPY, "Binary Format").

STRATEGY: a device sends the same elements in the same order again and again, so the tuple of a row's keys
names a presence pattern. Each pattern gets one `struct.Struct` over all fixed-size columns, in which the
lengths and NULLs between two values are constant bytes; packing a row is one call. The three columns of
varying size follow behind.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from struct import Struct, pack
from typing import Final

from ingest.measurement import ColumnValue, Measurement
from ingest.sink.columns import COLUMNS, FIXED_COLUMNS, TEXT, VARIABLE_COLUMNS

Row = Measurement
"""The columns of a row that are not NULL.

Fixed-size columns hold what `struct` packs: times are microseconds since 2000 (`postgres_microseconds`),
`device_id` and `vin` ASCII bytes of their fixed lengths. `odometer_source` is text without NUL characters,
`dtc_codes` a sequence of such texts, `raw_data` a JSON text.
"""

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + pack(">ii", 0, 0)
TRAILER: Final = b"\xff\xff"

_NULL: Final = b"\xff\xff\xff\xff"
_FIELD_COUNT: Final = pack(">h", len(COLUMNS))
_JSONB_VERSION: Final = b"\x01"
_EMPTY_ARRAY: Final = pack(">iii", 0, 0, TEXT)
_ALL_NULL: Final = _NULL * len(VARIABLE_COLUMNS)
_LENGTH: Final = Struct(">i").pack
_ARRAY_HEAD: Final = Struct(">iiiii").pack

# Devices differ in which elements they send, not records: hundreds of patterns are many. The bound keeps a
# hostile sender, who shuffles its elements, from filling the memory.
_MAX_PATTERNS: Final = 4096


class _Pattern:
    """How rows with one set of present columns are packed."""

    __slots__ = ("has_variable", "pack", "pick", "template")

    def __init__(self, keys: tuple[str, ...]) -> None:
        present = set(keys)
        self.has_variable = any(column.name in present for column in VARIABLE_COLUMNS)
        self.template: list[object] = []
        codes, names, gap = [">"], [], _FIELD_COUNT
        for column in FIXED_COLUMNS:
            if column.name not in present:
                gap += _NULL
                continue
            gap += _LENGTH(Struct(f">{column.code}").size)
            codes.append(f"{len(gap)}s{column.code}")
            self.template += [gap, None]
            names.append(column.name)
            gap = b""
        codes.append(f"{len(gap)}s")
        self.template.append(gap)
        self.pack: Callable[..., bytes] = Struct("".join(codes)).pack
        # identity columns are never NULL, so there are always two names or more and a tuple comes out
        self.pick: Callable[[Row], tuple[ColumnValue, ...]] = itemgetter(*names)


def encode_text_array(texts: Sequence[str]) -> bytes:
    """The binary value of a one-dimensional `text[]`; an empty one has no dimensions."""
    if not texts:
        return _EMPTY_ARRAY
    elements = [text.encode() for text in texts]
    head = _ARRAY_HEAD(1, 0, TEXT, len(elements), 1)
    return head + b"".join(_LENGTH(len(element)) + element for element in elements)


def encode_variable(row: Row) -> bytes:
    """The three columns of varying size, with their lengths."""
    source, codes, raw = row.get("odometer_source"), row.get("dtc_codes"), row.get("raw_data")
    parts: list[bytes] = []
    if isinstance(source, str):
        text = source.encode()
        parts += (_LENGTH(len(text)), text)
    else:
        parts.append(_NULL)
    if isinstance(codes, (list, tuple)):
        array = encode_text_array(codes)
        parts += (_LENGTH(len(array)), array)
    else:
        parts.append(_NULL)
    if isinstance(raw, str):
        document = raw.encode()
        parts += (_LENGTH(len(document) + 1), _JSONB_VERSION, document)
    else:
        parts.append(_NULL)
    return b"".join(parts)


class CopyEncoder:
    """Encodes rows; keeps the presence patterns that it has met. Not for several threads at once."""

    def __init__(self) -> None:
        self._patterns: dict[tuple[str, ...], _Pattern] = {}

    @property
    def pattern_count(self) -> int:
        """Presence patterns that are kept at present."""
        return len(self._patterns)

    def encode(self, rows: Iterable[Row]) -> bytes:
        """A whole COPY stream, signature and trailer included.

        Raises:
            struct.error: a value does not fit in its column.
        """
        return b"".join((SIGNATURE, *map(self.encode_row, rows), TRAILER))

    def encode_row(self, row: Row) -> bytes:
        """One tuple of a COPY stream.

        Raises:
            struct.error: a value does not fit in its column.
        """
        keys = tuple(row)
        pattern = self._patterns.get(keys)
        if pattern is None:
            if len(self._patterns) >= _MAX_PATTERNS:
                self._patterns.clear()
            pattern = self._patterns[keys] = _Pattern(keys)
        values = pattern.template.copy()
        values[1::2] = pattern.pick(row)
        return pattern.pack(*values) + (encode_variable(row) if pattern.has_variable else _ALL_NULL)
