"""Columns → Codec 8 Extended records, many at a time.

`ingest.codec8.encoding` packs one record in some 10 µs; a year of recordings has millions. Here all records
that carry the same set of IO elements are laid out as one numpy structured array (big-endian, packed) and
then scattered to their places in sending order, which costs a tenth of that. Tests hold the two to the same
bytes.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from xxhash import xxh64_intdigest

from simulation.device.records import IDENTITY, Flags, Identities, Ints, RecordBlock
from telematics.errors import PistonError

WIDTHS: Final = (1, 2, 4, 8)

_HEAD: Final = (
    ("timestamp_ms", ">u8"),
    ("priority", "u1"),
    ("longitude_raw", ">i4"),
    ("latitude_raw", ">i4"),
    ("altitude_m", ">i2"),
    ("angle_deg", ">u2"),
    ("satellites", "u1"),
    ("speed_kph", ">u2"),
    ("event_io_id", ">u2"),
)
"""The record's head in wire order, as far as it comes from columns."""

_VARIABLE_BYTES: Final = 2
"""Of the number of elements of variable length, and of the length of each."""
_HASH_SEED: Final = 0
_MOST_COLUMNS: Final = 62
"""Which elements a record has is kept as the bits of one int64."""


class ColumnError(PistonError):
    """A column holds a value that its field on the wire cannot hold; nothing was encoded."""


@dataclass(frozen=True, slots=True)
class IoColumn:
    """One IO element over many records.

    Attributes:
        id: AVL id.
        width: bytes on the wire: 1, 2, 4 or 8.
        raw: the wire's number as an unsigned integer; two's complement where the element is signed.
        is_present: which records have the element; `raw` is not looked at elsewhere.
    """

    id: int
    width: int
    raw: Ints
    is_present: Flags


@dataclass(frozen=True, slots=True)
class TextColumn:
    """One IO element of variable length that says the same in all records that have it.

    Attributes:
        id: AVL id.
        text: its bytes, at least one.
        is_present: which records have the element.
    """

    id: int
    text: bytes
    is_present: Flags


@dataclass(frozen=True, slots=True)
class RecordColumns:
    """Records as columns of equal length, in sending order; names and units as in `AvlRecord`."""

    timestamp_ms: Ints
    priority: Ints
    longitude_raw: Ints
    latitude_raw: Ints
    altitude_m: Ints
    angle_deg: Ints
    satellites: Ints
    speed_kph: Ints
    event_io_id: Ints
    io: tuple[IoColumn, ...]
    texts: tuple[TextColumn, ...] = ()

    def __len__(self) -> int:
        return len(self.timestamp_ms)

    def tail(self, start: int) -> "RecordColumns":
        """The records from index `start` on."""
        heads = {name: getattr(self, name)[start:] for name, _ in _HEAD}
        io = (IoColumn(c.id, c.width, c.raw[start:], c.is_present[start:]) for c in self.io)
        texts = (replace(text, is_present=text.is_present[start:]) for text in self.texts)
        return replace(self, **heads, io=tuple(io), texts=tuple(texts))


def encode_columns(columns: RecordColumns) -> RecordBlock:
    """All records, encoded; IO elements by width, within a width in the order of the columns.

    Raises:
        ColumnError: a value does not fit in its field.
    """
    _check(columns)
    count = len(columns)
    patterns = np.zeros(count, np.int64)
    presences = [*(each.is_present for each in columns.io), *(each.is_present for each in columns.texts)]
    for bit, is_present in enumerate(presences):
        patterns |= is_present.astype(np.int64) << bit
    lengths = np.zeros(count, np.int64)
    groups = []
    for pattern in np.unique(patterns).tolist():
        rows = np.flatnonzero(patterns == pattern)
        present = [column for bit, column in enumerate(columns.io) if pattern >> bit & 1]
        texts = [text for bit, text in enumerate(columns.texts, start=len(columns.io)) if pattern >> bit & 1]
        layout = _layout(
            tuple((column.id, column.width) for column in present),
            tuple((text.id, text.text) for text in texts),
        )
        lengths[rows] = layout.dtype.itemsize
        groups.append((rows, present, layout))
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    wire = np.empty(int(starts[-1]), np.uint8)
    for rows, present, layout in groups:
        packed = np.full(len(rows), layout.template, layout.dtype)
        for name, _ in _HEAD:
            packed[name] = getattr(columns, name)[rows]
        for column in present:
            packed[f"io_{column.id}"] = column.raw[rows]
        size = layout.dtype.itemsize
        wire[starts[rows][:, None] + np.arange(size)] = packed.view(np.uint8).reshape(-1, size)
    bodies = wire.tobytes()
    return RecordBlock(bodies, starts, _identities(columns, bodies, starts))


def content_hashes(bodies: bytes, starts: Ints) -> Ints:
    """xxh64 (seed 0) of each record's bytes, as signed 64-bit integers."""
    view = memoryview(bodies)
    edges = starts.tolist()
    digests = [xxh64_intdigest(view[start:end], _HASH_SEED) for start, end in pairwise(edges)]
    return np.array(digests, np.uint64).view(np.int64)


def _identities(columns: RecordColumns, bodies: bytes, starts: Ints) -> Identities:
    identities = np.empty(len(columns), IDENTITY)
    identities["time_ms"] = columns.timestamp_ms
    identities["event_id"] = columns.event_io_id
    identities["content_hash"] = content_hashes(bodies, starts)
    return identities


def _check(columns: RecordColumns) -> None:
    """Refuse what would wrap around: numpy assigns out-of-range numbers modulo the width."""
    ids = [column.id for column in columns.io] + [text.id for text in columns.texts]
    if len(set(ids)) < len(ids) or len(ids) > _MOST_COLUMNS or not all(0 <= each < 2**16 for each in ids):
        message = f"IO columns have different ids of 16 bits, and are {_MOST_COLUMNS} at most: {ids}"
        raise ColumnError(message)
    if not len(columns):
        return
    for name, wire_type in _HEAD:
        if wire_type == ">u8":
            _check_range(name, getattr(columns, name), 0, 2**63 - 1)
            continue
        limits = np.iinfo(np.dtype(wire_type))
        _check_range(name, getattr(columns, name), int(limits.min), int(limits.max))
    for column in columns.io:
        if column.width not in WIDTHS:
            message = f"AVL id {column.id}: numbers are 1, 2, 4 or 8 bytes wide, not {column.width}"
            raise ColumnError(message)
        present = column.raw[column.is_present]
        if len(present):
            _check_range(f"AVL id {column.id}", present, 0, min(256**column.width, 2**63) - 1)
    for text in columns.texts:
        if not 1 <= len(text.text) < 2**16:
            message = f"AVL id {text.id}: a text has 1 to 65,535 bytes, not {len(text.text)}"
            raise ColumnError(message)


def _check_range(name: str, values: Ints, lowest: int, highest: int) -> None:
    if values.min() < lowest or values.max() > highest:
        message = f"{name}: a value lies outside {lowest} to {highest}, which is what the field holds"
        raise ColumnError(message)


@dataclass(frozen=True, slots=True)
class _Layout:
    """A record with one set of IO elements: field places, and one with all its constants filled in."""

    dtype: np.dtype[np.void]
    template: np.void


@lru_cache(maxsize=4096)
def _layout(elements: tuple[tuple[int, int], ...], texts: tuple[tuple[int, bytes], ...]) -> _Layout:
    """The packed layout of a record with these (id, width) and (id, text).

    Grouped by width, in their order within each; texts last.
    """
    fields: list[tuple[str, str]] = [*_HEAD, ("total", ">u2")]
    constants: dict[str, int | bytes] = {"total": len(elements) + len(texts)}
    for width in WIDTHS:
        group = [avl_id for avl_id, element_width in elements if element_width == width]
        fields.append((f"count_{width}", ">u2"))
        constants[f"count_{width}"] = len(group)
        for avl_id in group:
            fields += [(f"id_{avl_id}", ">u2"), (f"io_{avl_id}", f">u{width}")]
            constants[f"id_{avl_id}"] = avl_id
    fields.append(("count_variable", f">u{_VARIABLE_BYTES}"))
    constants["count_variable"] = len(texts)
    for avl_id, text in texts:
        length = f">u{_VARIABLE_BYTES}"
        fields += [(f"id_{avl_id}", ">u2"), (f"length_{avl_id}", length), (f"io_{avl_id}", f"V{len(text)}")]
        constants |= {f"id_{avl_id}": avl_id, f"length_{avl_id}": len(text), f"io_{avl_id}": text}
    dtype = np.dtype(fields)
    template = np.zeros(1, dtype)
    for name, value in constants.items():
        template[name] = value
    return _Layout(dtype, template[0])
