"""The text of AVL 281, a comma-separated list of trouble codes, as a PostgreSQL array; for compiled code.

Only the plain form is read here: letters, digits and hyphens between commas, NULs at the end. Blanks and
everything else are the reference's business (`ingest.measurement`).
"""

from typing import Any, Final

import numpy as np

from ingest.batch.compiling import Bytes, inlined
from ingest.sink.columns import TEXT
from ingest.sink.putting import put32

_0, _1 = np.uint64(0), np.uint64(1)
_COMMA: Final = np.uint8(ord(","))
_MAX_CODE_LENGTH: Final = 16
_TEXT: Final = np.uint64(TEXT)
NOT_PLAIN: Final = -1


def _upper_case() -> Any:
    """Byte → the capital or sign that may stand in a code; 0: it may not."""
    table = np.zeros(256, np.uint8)
    for text in ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789-"):
        for character in text:
            table[ord(character)] = ord(character.upper())
    return table


_UPPER: Final = _upper_case()


@inlined
def without_nuls(data: Bytes, start: Any, end: Any) -> Any:
    """Where the text ends."""
    while end > start and data[end - _1] == 0:
        end -= _1
    return end


@inlined
def count_codes(data: Bytes, start: Any, end: Any) -> Any:
    """How many codes the text holds, or NOT_PLAIN."""
    count, length = 0, 0
    for place in range(start, without_nuls(data, start, end)):
        byte = data[np.uint64(place)]
        if byte == _COMMA:
            length = 0
            continue
        if length == 0:
            count += 1
        length += 1
        if _UPPER[byte] == 0 or length > _MAX_CODE_LENGTH:
            return NOT_PLAIN
    return count


@inlined
def put_code_array(out: Bytes, at: Any, data: Bytes, start: Any, end: Any, count: Any) -> Any:
    """The codes as the binary value of a `text[]`, without its length."""
    at = put32(out, at, np.uint64(1 if count else 0))  # dimensions
    at = put32(out, at, _0)  # no NULLs
    at = put32(out, at, _TEXT)
    if count == 0:
        return at
    at = put32(out, at, np.uint64(count))
    at = put32(out, at, _1)  # lower bound
    length_at, length = at, _0
    for place in range(start, without_nuls(data, start, end)):
        byte = data[np.uint64(place)]
        if byte == _COMMA:
            length = _0
            continue
        if length == _0:
            length_at = at
            at += np.uint64(4)
        length += _1
        out[at] = _UPPER[byte]
        at += _1
        put32(out, length_at, length)
    return at
