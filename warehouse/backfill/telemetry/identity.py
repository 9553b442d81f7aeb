"""What makes a loaded row itself: xxh64 of its content in one form, whatever file it stood in.

The form: for each column that the row fills, in the order of their names, 16 bytes: xxh64 of the column's
name, and the value's 64-bit image, both with the lowest byte first. The image of a number is its IEEE 754
double (of an integer column the integer), of a flag 0 or 1, of text xxh64 of its UTF-8. A column that the row
leaves open leaves no trace, so a column that the table gains later changes no hash.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh64_intdigest

from ingest.batch.compiling import array, compile_kernel
from ingest.batch.wire import xxh64
from warehouse.backfill.telemetry.values import Integers, Mask, there

Images = npt.NDArray[np.uint64]
_PAIR_BYTES: Final = 16
_0, _1, _8, _255 = map(np.uint64, (0, 1, 8, 255))


class Image(NamedTuple):
    """A column's values as 64-bit images, and which rows have one."""

    bits: Images
    is_there: Mask


def number_image(values: npt.NDArray[np.generic], is_there: Mask) -> Image:
    """Of floating-point numbers, integers or flags."""
    if values.dtype.kind == "f":
        # adding zero makes of the negative zero the other one
        bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    else:
        bits = values.astype(np.int64).view(np.uint64)
    return Image(np.ascontiguousarray(bits), is_there)


def text_image(texts: pa.Array) -> Image:
    """Of text, each different one hashed once."""
    encoded = texts.dictionary_encode()
    digests = np.array(
        [xxh64_intdigest(text.encode()) if text is not None else 0 for text in encoded.dictionary.to_pylist()]
        or [0],
        dtype=np.uint64,
    )
    places = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return Image(digests[places], there(texts))


def content_hashes(images: Mapping[str, Image]) -> Integers:
    """The `content_hash` of each row."""
    names = sorted(images)
    bits = np.ascontiguousarray([images[name].bits for name in names], dtype=np.uint64)
    present = np.ascontiguousarray([images[name].is_there for name in names], dtype=np.bool_)
    keys = np.array([xxh64_intdigest(name.encode()) for name in names], dtype=np.uint64)
    hashes = np.empty(bits.shape[1], np.int64)
    _kernel()(bits, present, keys, np.empty(len(names) * _PAIR_BYTES, np.uint8), hashes)
    return hashes


def hash_rows(bits: Any, present: Any, keys: Any, scratch: Any, hashes: Any) -> Any:
    """Write each row's form into `scratch` and its hash into `hashes`; columns are the first dimension."""
    for row in range(hashes.size):
        at = _0
        for column in range(keys.size):
            if present[column, row]:
                key, value = keys[column], bits[column, row]
                for _ in range(8):
                    scratch[at] = key & _255
                    scratch[at + _8] = value & _255
                    key, value = key >> _8, value >> _8
                    at += _1
                at += _8
        hashes[row] = np.int64(xxh64(scratch, _0, at))
    return 0


@cache
def _kernel() -> Any:
    import numba

    return compile_kernel(
        hash_rows,
        (
            array(np.uint64, 2),
            array(np.bool_, 2),
            array(np.uint64),
            array(np.uint8),
            array(np.int64),
        ),
        numba.int64,
    )
