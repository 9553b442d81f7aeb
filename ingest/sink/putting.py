"""Writing integers, digits and text into a `uint8` array, for compiled code. Each returns where it ended."""

from typing import Any, Final

import numpy as np

from ingest.batch.compiling import Bytes, inlined

_1, _2, _4, _8 = map(np.uint64, (1, 2, 4, 8))
_10: Final = np.uint64(10)
_100: Final = np.uint64(100)
_16: Final = np.uint64(16)
_24: Final = np.uint64(24)
_32: Final = np.uint64(32)
_HALF_BYTE: Final = np.uint64(0xF)
_DIGIT_0: Final = np.uint64(ord("0"))
_POWERS_OF_TEN: Final = np.array([10**exponent for exponent in range(1, 20)], np.uint64)
_PAIRS: Final = np.frombuffer("".join(f"{number:02d}" for number in range(100)).encode(), np.uint8)
_MINUS: Final = np.uint8(ord("-"))
_HEX_DIGITS: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


@inlined
def put16(out: Bytes, at: Any, value: Any) -> Any:
    """Two bytes, the higher first."""
    out[at] = np.uint8(value >> _8)
    out[at + _1] = np.uint8(value)
    return at + _2


@inlined
def put32(out: Bytes, at: Any, value: Any) -> Any:
    """Four bytes, the highest first."""
    out[at] = np.uint8(value >> _24)
    out[at + _1] = np.uint8(value >> _16)
    out[at + _2] = np.uint8(value >> _8)
    out[at + np.uint64(3)] = np.uint8(value)
    return at + _4


@inlined
def put64(out: Bytes, at: Any, value: Any) -> Any:
    """Eight bytes, the highest first."""
    return put32(out, put32(out, at, value >> _32), value)


@inlined
def put_sized(out: Bytes, at: Any, value: Any, size: Any) -> Any:
    """The lowest 1, 2, 4 or 8 bytes of a value, the highest first."""
    if size == _4:
        return put32(out, at, value)
    if size == _8:
        return put64(out, at, value)
    if size == _2:
        return put16(out, at, value)
    out[at] = np.uint8(value)
    return at + _1


@inlined
def put_text(out: Bytes, at: Any, text: Bytes) -> Any:
    """All bytes of an array."""
    for place in range(text.size):
        out[at + np.uint64(place)] = text[place]
    return at + np.uint64(text.size)


@inlined
def put_decimal(out: Bytes, at: Any, value: Any) -> Any:
    """An unsigned integer in decimal digits, written from the last, two at a time."""
    size, longest = 1, _POWERS_OF_TEN.size + 1
    while size < longest and value >= _POWERS_OF_TEN[size - 1]:
        size += 1
    end = at + np.uint64(size)
    place, rest = end, value
    while rest >= _100:
        pair = rest % _100 * _2
        rest //= _100
        place -= _2
        out[place] = _PAIRS[pair]
        out[place + _1] = _PAIRS[pair + _1]
    if rest >= _10:
        out[at] = _PAIRS[rest * _2]
        out[at + _1] = _PAIRS[rest * _2 + _1]
    else:
        out[at] = np.uint8(rest + _DIGIT_0)
    return end


@inlined
def put_signed_decimal(out: Bytes, at: Any, value: Any) -> Any:
    """A signed integer in decimal digits."""
    if value < 0:
        out[at] = _MINUS
        return put_decimal(out, at + _1, np.uint64(-value))
    return put_decimal(out, at, np.uint64(value))


@inlined
def put_hex(out: Bytes, at: Any, data: Bytes, start: Any, length: Any) -> Any:
    """Bytes in lower-case hexadecimal digits."""
    for place in range(length):
        byte = np.uint64(data[start + np.uint64(place)])
        out[at] = _HEX_DIGITS[byte >> _4]
        out[at + _1] = _HEX_DIGITS[byte & _HALF_BYTE]
        at += _2
    return at
