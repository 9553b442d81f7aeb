"""Columns of any type and origin into numbers, flags, texts and trouble codes: whole columns at a time.

A column is converted at once; only when that fails is it looked at more closely, so that good files cost
nothing for what bad ones need. What cannot be read is marked, one by one, and never stops its neighbours.
A floating-point column of 32 bits is read as the shortest decimal numbers that it stands for, so that a row
is the same row whether its file is Parquet or text.
"""

from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from telematics.dtc import DTC

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INTEGER: Final = r"^[+-]?\d{1,19}$"
_TRUE: Final = pa.array(["true", "t", "1", "1.0", "yes", "y", "on"])
_FALSE: Final = pa.array(["false", "f", "0", "0.0", "no", "n", "off"])
_LARGEST: Final = float(2**63 - 1024)
"""The last double below 2^63."""


class Column(NamedTuple):
    """Values of one kind, and which of them are there and which could not be read."""

    values: npt.NDArray[Any]
    """Undefined where there is none."""
    is_there: Mask
    is_bad: Mask
    """There was something, and it is not of the kind."""


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One chunk, without a dictionary."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0, column.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


_TEXTS: Final = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are bytes or text."""
    return any(is_kind(kind) for is_kind in _TEXTS)


def mask_of(array: pa.Array) -> Mask:
    """A boolean array as numpy's, null as false."""
    found: Mask = np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=np.bool_)
    return found


def there(array: pa.Array) -> Mask:
    """Which values are not null."""
    return mask_of(array.is_valid())


def texts(column: pa.Array | pa.ChunkedArray, nulls: Collection[str]) -> tuple[pa.Array, Mask]:
    """Text without blanks around it, null where it stands for nothing, and what is not UTF-8.

    Values of other types are written as text.
    """
    array = plain(column)
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.string()), np.zeros(len(array), np.bool_)
    bad = np.zeros(len(array), np.bool_)
    try:
        array = array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        array, bad = _decoded(array)
    array = pc.utf8_trim_whitespace(array)
    if nulls:
        is_null = pc.is_in(array, value_set=pa.array(list(nulls), pa.string()))
        array = pc.if_else(is_null, pa.scalar(None, pa.string()), array)
    return array, bad


def _decoded(array: pa.Array) -> tuple[pa.Array, Mask]:
    found: list[str | None] = []
    bad = np.zeros(len(array), np.bool_)
    for place, value in enumerate(array.to_pylist()):
        try:
            found.append(value.decode() if isinstance(value, bytes) else value and str(value))
        except UnicodeDecodeError:
            found.append(None)
            bad[place] = True
    return pa.array(found, pa.string()), bad


def cast_each(array: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Mask]:
    """Cast what can be cast; the rest is null and marked. Few bad values cost few more casts."""
    try:
        return array.cast(kind), np.zeros(len(array), np.bool_)
    except pa.ArrowInvalid:
        if len(array) == 1:
            return pa.nulls(1, kind), np.ones(1, np.bool_)
    middle = len(array) // 2
    (left, bad_left), (right, bad_right) = (
        cast_each(part, kind) for part in (array[:middle], array[middle:])
    )
    return pa.concat_arrays([left, right]), np.concatenate([bad_left, bad_right])


def _nothing(length: int, kind: npt.DTypeLike, *, is_bad: Mask | None = None) -> Column:
    none = np.zeros(length, np.bool_)
    return Column(np.zeros(length, kind), none, none if is_bad is None else is_bad)


def numbers(column: pa.Array | pa.ChunkedArray, nulls: Collection[str]) -> Column:
    """64-bit floating-point numbers; NaN is nothing, infinity is bad."""
    array = plain(column)
    kind = array.type
    bad = np.zeros(len(array), np.bool_)
    if pa.types.is_null(kind):
        return _nothing(len(array), np.float64)
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        array = array.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    elif pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        array = array.cast(pa.float64(), safe=False)
    elif is_text(kind):
        array, bad = _numbers_of_text(array, nulls, _NUMBER, pa.float64())
    else:
        return _nothing(len(array), np.float64, is_bad=there(array))
    values = pc.fill_null(array, float("nan")).to_numpy(zero_copy_only=False)
    bad = bad | np.isinf(values)
    return Column(values, np.isfinite(values), bad)


def _numbers_of_text(
    array: pa.Array, nulls: Collection[str], pattern: str, kind: pa.DataType
) -> tuple[pa.Array, Mask]:
    cleaned, bad = texts(array, nulls)
    try:
        return cleaned.cast(kind), bad
    except pa.ArrowInvalid:
        fits = pc.match_substring_regex(cleaned, pattern)
        bad = bad | mask_of(pc.invert(fits))
        found, missed = cast_each(pc.if_else(fits, cleaned, pa.scalar(None, pa.string())), kind)
        return found, bad | missed


def whole_numbers(column: pa.Array | pa.ChunkedArray, nulls: Collection[str]) -> Column:
    """64-bit integers, exact where the source is; fractions are rounded to the nearest."""
    array = plain(column)
    if pa.types.is_integer(array.type):
        found, bad = cast_each(array, pa.int64())
        return Column(pc.fill_null(found, 0).to_numpy(zero_copy_only=False), there(found), bad)
    if is_text(array.type):
        cleaned, not_text = texts(array, nulls)
        try:
            found = cleaned.cast(pa.int64())
        except pa.ArrowInvalid:
            pass
        else:
            return Column(pc.fill_null(found, 0).to_numpy(zero_copy_only=False), there(found), not_text)
    return rounded(numbers(column, nulls))


def rounded(found: Column) -> Column:
    """Numbers as the nearest 64-bit integers; those beyond are the last that there is."""
    values: Numbers = np.where(found.is_there, found.values, 0)
    whole = np.rint(np.clip(values, -_LARGEST, _LARGEST)).astype(np.int64)
    return Column(whole, found.is_there, found.is_bad)


def flags(column: pa.Array | pa.ChunkedArray, nulls: Collection[str]) -> Column:
    """True and false; also 0 and 1, and the usual words."""
    array = plain(column)
    if pa.types.is_boolean(array.type):
        return Column(mask_of(array), there(array), np.zeros(len(array), np.bool_))
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        found = numbers(array, nulls)
        is_flag = found.is_there & ((found.values == 0) | (found.values == 1))
        return Column(found.values == 1, is_flag, found.is_bad | (found.is_there & ~is_flag))
    cleaned, bad = texts(array, nulls)
    small = pc.utf8_lower(cleaned)
    yes, no = (mask_of(pc.is_in(small, value_set=words)) for words in (_TRUE, _FALSE))
    return Column(yes, yes | no, bad | (there(cleaned) & ~yes & ~no))


def each_text(array: pa.Array, convert: Callable[[str], str | None], bad: Mask) -> tuple[pa.Array, Mask]:
    """Convert every different text once; None from `convert` says that it is bad."""
    encoded = array.dictionary_encode()
    outcomes = [None if text is None else convert(text) for text in encoded.dictionary.to_pylist()]
    converted = pa.array(outcomes, pa.string())
    taken = converted.take(encoded.indices)
    return taken, bad | (there(array) & ~there(taken))


def one_of(
    column: pa.Array | pa.ChunkedArray, names: Collection[str], nulls: Collection[str]
) -> tuple[pa.Array, Mask]:
    """Text that is one of some names."""
    cleaned, bad = texts(column, nulls)
    return each_text(pc.utf8_lower(cleaned), lambda text: text if text in names else None, bad)


def json_objects(column: pa.Array | pa.ChunkedArray, nulls: Collection[str]) -> tuple[pa.Array, Mask]:
    """Text that is a JSON object PostgreSQL takes: without a NUL, escaped or not."""
    cleaned, bad = texts(column, nulls)

    def checked(text: str) -> str | None:
        try:
            is_object = isinstance(orjson.loads(text), dict)
        except orjson.JSONDecodeError:
            return None
        return text if is_object and "\\u0000" not in text else None

    return each_text(cleaned, checked, bad)


def trouble_codes(column: pa.Array | pa.ChunkedArray, nulls: Collection[str]) -> tuple[pa.Array, Mask]:
    """Lists of trouble codes, each once and in order, joined by blanks; "" is a list of none.

    Text has blanks, commas, semicolons or bars between codes, and may stand in braces or brackets; `none` and
    empty brackets are a list of none.
    """
    array = plain(column)
    bad = np.zeros(len(array), np.bool_)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        rows = array.to_pylist() if not is_text(array.type.value_type) else None
        if rows is not None:
            return pa.nulls(len(array), pa.string()), bad | there(array)
        joined = pc.binary_join(array.cast(pa.list_(pa.string())), " ")
        return each_text(joined, _codes, bad)
    cleaned, bad = texts(array, nulls)
    return each_text(cleaned, _codes, bad)


def _codes(text: str) -> str | None:
    inner = text.strip("[]{}()")
    for separator in ",;|\"'\x1f":
        inner = inner.replace(separator, " ")
    if inner.strip().lower() == "none":
        return ""
    found = inner.upper().split()
    return " ".join(found) if all(DTC.fullmatch(code) for code in found) else None
