"""PostgreSQL's binary COPY → ClickHouse's Native blocks, in compiled code.

As text PostgreSQL prints each number and ClickHouse reads it again, and both take their time for it (docs/
performance.md has what a load takes now). Here a value is copied with its bytes turned round, and ClickHouse
gets whole columns.

STRATEGY: rows come in pieces that hold whole rows. One pass over a piece puts every value into its column's
array; nulls go into a map of their own. Then the arrays, cut to the number of rows, are one block. A column
without any value in a piece is left out of its block: ClickHouse fills in NULL.

Formats: COPY's binary one is in PostgreSQL's manual under COPY; a Native block is the number of columns, that
of rows, and for each column its name, its type, a byte a row that says NULL (only if it is `Nullable`), and
the values, little-endian, texts with their length before them (LEB128).
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import cache
from typing import Any, Final

import numba
import numpy as np

from ingest.batch.compiling import Bytes, array, compile_kernel, inlined
from ingest.batch.wire import u16, u32, u64

MAX_ROWS: Final = 1 << 16
"""Rows of a block at most; ClickHouse makes larger ones of them."""
MAX_BYTES: Final = 1 << 24
"""Bytes of a piece, about; bounds the memory of the texts."""
SIGNATURE: Final = b"PGCOPY\n\xff\r\n\x00"
_HEAD: Final = len(SIGNATURE) + 8
"""With flags and the length of an extension, which nobody uses."""
_EPOCH_S: Final = 946_684_800
"""PostgreSQL's times begin in 2000."""
_MILLION: Final = 1_000_000
_LONGEST_LENGTH: Final = 5
_DAY_MS: Final = 86_400_000


class Wire(IntEnum):
    """How a value lies in the COPY, and what ClickHouse gets; the number's width is the array's."""

    MOMENT = 0
    """timestamptz, microseconds since 2000 → DateTime64(3, 'UTC'), cut off below a millisecond."""
    EIGHT = 1
    FOUR = 2
    TWO = 3
    ONE = 4
    TEXT = 5
    JSON = 6
    """jsonb: a byte that gives its version, then text."""


WIDTHS: Final = {Wire.MOMENT: 8, Wire.EIGHT: 8, Wire.FOUR: 4, Wire.TWO: 2, Wire.ONE: 1}
_MOMENT, _EIGHT, _FOUR, _TWO, _ONE, _TEXT, _JSON = map(int, Wire)
_NONE: Final = np.uint64(0xFFFF_FFFF)
"""Length of a NULL; as the number of fields (16 bits) the end of the stream."""
_END: Final = np.uint64(0xFFFF)
_0, _1, _2, _4 = map(np.uint64, (0, 1, 2, 4))
_SEVEN_BITS: Final = np.uint64(0x7F)
_MORE: Final = np.uint64(0x80)
_SEVEN: Final = np.uint64(7)
_EPOCH_US: Final = _EPOCH_S * _MILLION
BROKEN: Final = -1
"""What the kernel answers when the bytes are not what COPY writes."""


@inlined
def _put_text(out: Bytes, at: Any, data: Bytes, start: Any, length: Any) -> Any:
    """Length and bytes; returns the place behind them."""
    rest = length
    while rest > _SEVEN_BITS:
        out[at] = (rest & _SEVEN_BITS) | _MORE
        at += _1
        rest >>= _SEVEN
    out[at] = rest
    at += _1
    for place in range(length):
        out[at + np.uint64(place)] = data[start + np.uint64(place)]
    return at + length


def turn_round(
    data: Bytes,
    size: Any,
    kinds: Any,
    widths: Any,
    slots: Any,
    nulls: Any,
    eights: Any,
    fours: Any,
    twos: Any,
    ones: Any,
    texts: Any,
    ends: Any,
    null_counts: Any,
) -> Any:
    """Put each value of the rows into its column; the number of rows, or `BROKEN`.

    Args:
        data: rows as COPY writes them, whole.
        size: bytes of them.
        kinds: `Wire` of each column.
        widths: bytes of each column's values, 0 for texts.
        slots: which row of the array of its width a column has.
        nulls: columns × rows; 1: NULL.
        eights: columns of eight bytes × rows; the others alike.
        fours: of four.
        twos: of two.
        ones: of one.
        texts: columns of text × bytes.
        ends: how many bytes of each there are; 0 at the beginning.
        null_counts: of each column; 0 at the beginning.
    """
    at, row, column_count = _0, 0, len(kinds)
    while at + _2 <= size:
        fields = u16(data, at)
        at += _2
        if fields == _END:
            break
        if fields != np.uint64(column_count) or row == nulls.shape[1]:
            return BROKEN
        for column in range(column_count):
            if at + _4 > size:
                return BROKEN
            length = u32(data, at)
            at += _4
            kind, slot = kinds[column], slots[column]
            is_null = length == _NONE
            nulls[column, row] = is_null
            if is_null:
                null_counts[column] += 1
                length = _0
            elif at + length > size or (kind < _TEXT and length != widths[column]):
                return BROKEN
            if kind >= _TEXT:
                skipped = _1 if kind == _JSON and length > _0 else _0
                end = np.uint64(ends[slot])
                ends[slot] = _put_text(texts[slot], end, data, at + skipped, length - skipped)
            elif kind == _FOUR:
                fours[slot, row] = _0 if is_null else u32(data, at)
            elif kind == _TWO:
                twos[slot, row] = _0 if is_null else u16(data, at)
            elif kind == _ONE:
                ones[slot, row] = _0 if is_null else data[at]
            elif kind == _EIGHT:
                eights[slot, row] = _0 if is_null else u64(data, at)
            elif not is_null:
                micros = np.int64(u64(data, at)) + _EPOCH_US
                eights[slot, row] = np.uint64(micros // 1000)
            else:
                eights[slot, row] = _0
            at += length
        row += 1
    return row


@cache
def _kernel() -> Any:
    counts = array(np.int64)
    return compile_kernel(
        turn_round,
        (
            array(np.uint8),
            numba.uint64,
            counts,
            array(np.uint64),
            counts,
            array(np.uint8, 2),
            array(np.uint64, 2),
            array(np.uint32, 2),
            array(np.uint16, 2),
            array(np.uint8, 2),
            array(np.uint8, 2),
            counts,
            counts,
        ),
        numba.int64,
    )


class BrokenCopyError(RuntimeError):
    """PostgreSQL's answer is not a binary COPY of the columns that were asked for."""


class Crossing:
    """Turns pieces of a COPY into blocks; keeps its arrays, so one serves one COPY at a time.

    Args:
        columns: name, ClickHouse type and wire form of each, in the order of the COPY.
    """

    def __init__(self, columns: Sequence[tuple[str, str, Wire]]) -> None:
        self._columns = [*columns]
        self._kinds = np.array([wire for _, _, wire in columns], np.int64)
        self._widths = np.array([WIDTHS.get(wire, 0) for _, _, wire in columns], np.uint64)
        places: dict[int, int] = {}
        slots = []
        for _, _, wire in columns:
            width = WIDTHS.get(wire, 0)
            slots.append(places.get(width, 0))
            places[width] = slots[-1] + 1
        self._slots = np.array(slots, np.int64)
        self._nulls = np.empty((len(columns), MAX_ROWS), np.uint8)
        self._arrays: dict[int, Any] = {
            width: np.empty((max(1, places.get(width, 0)), MAX_ROWS), dtype)
            for width, dtype in ((8, np.uint64), (4, np.uint32), (2, np.uint16), (1, np.uint8))
        }
        self._texts = np.empty((max(1, places.get(0, 0)), 0), np.uint8)
        self._turn_round = _kernel()

    def block(self, rows: bytearray) -> tuple[int, bytes]:
        """The number of rows in a piece of whole rows, and their block.

        Raises:
            BrokenCopyError: the bytes are no such rows.
        """
        room = len(rows) + _LONGEST_LENGTH * MAX_ROWS
        if self._texts.shape[1] < room:
            # pages that no text reaches are never touched, and hence cost nothing
            self._texts = np.empty((self._texts.shape[0], room), np.uint8)
        ends = np.zeros(len(self._texts), np.int64)
        null_counts = np.zeros(len(self._columns), np.int64)
        count = self._turn_round(
            np.frombuffer(rows, np.uint8),
            len(rows),
            self._kinds,
            self._widths,
            self._slots,
            self._nulls,
            *self._arrays.values(),
            self._texts,
            ends,
            null_counts,
        )
        if count == BROKEN:
            message = "PostgreSQL's COPY does not have the columns that were asked for"
            raise BrokenCopyError(message)
        if not count:
            return 0, b""
        return count, b"".join(self._parts(count, ends.tolist(), null_counts.tolist()))

    def days(self, name: str, count: int) -> dict[int, int]:
        """Days since 1970 → rows, of the block made last, by one of its moments.

        Args:
            name: of the moment's column, which has no NULL.
            count: rows of the block.
        """
        (place,) = (place for place, (own, _, _) in enumerate(self._columns) if own == name)
        moments = self._arrays[WIDTHS[Wire.MOMENT]][self._slots[place], :count].view(np.int64)
        days, rows = np.unique(moments // _DAY_MS, return_counts=True)
        return dict(zip(days.tolist(), rows.tolist(), strict=True))

    def _parts(self, count: int, ends: list[int], null_counts: list[int]) -> Iterator[Any]:
        """The pieces of a block."""
        filled = [place for place in range(len(self._columns)) if null_counts[place] < count]
        yield _number(len(filled)) + _number(count)
        for place in filled:
            name, kind, wire = self._columns[place]
            yield _named(name) + _named(kind)
            if kind.startswith("Nullable"):
                yield self._nulls[place, :count].data
            elif null_counts[place]:
                message = f"{name} is NULL in {null_counts[place]} rows, and must not be"
                raise BrokenCopyError(message)
            slot = self._slots[place]
            if wire in WIDTHS:
                yield self._arrays[WIDTHS[wire]][slot, :count].data
            else:
                yield self._texts[slot, : ends[slot]].data


def pieces(copy: Any) -> Iterator[bytearray]:
    """What comes out of a COPY, in pieces of whole rows; each is to be used before the next is asked for.

    Args:
        copy: iterates over bytes, a row each; the first has the head before it, the last is the trailer.

    Raises:
        BrokenCopyError: it does not begin as a binary COPY.
    """
    piece, count = bytearray(), 0
    is_first = True
    for row in copy:
        piece += row
        if is_first:
            if not piece.startswith(SIGNATURE):
                message = "PostgreSQL's answer does not begin as a binary COPY"
                raise BrokenCopyError(message)
            del piece[:_HEAD]
            is_first = False
        count += 1
        if count == MAX_ROWS - 1 or len(piece) >= MAX_BYTES:
            yield piece
            piece, count = bytearray(), 0
    if piece:
        yield piece


def _number(value: int) -> bytes:
    """LEB128."""
    out = bytearray()
    while value > _SEVEN_BITS:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _named(text: str) -> bytes:
    encoded = text.encode()
    return _number(len(encoded)) + encoded
