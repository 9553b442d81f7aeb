"""Big-endian integers, CRC-16/ARC and xxh64 over a `uint8` array, for compiled code.

Indices are unsigned 64-bit numbers throughout: Numba lets a signed index count from the end, which costs a
comparison for each byte, and makes a float of a sum of signed and unsigned. Nothing here checks bounds; who
calls has done so.
"""

from typing import Any, Final

import numpy as np

from ingest.batch.compiling import Bytes, inlined

_0, _1, _2, _3, _4, _5, _6, _7, _8 = map(np.uint64, range(9))
_16, _24, _32, _40, _48, _56 = map(np.uint64, (16, 24, 32, 40, 48, 56))
_BLOCK: Final = 16
_LOW_BYTE: Final = np.uint64(0xFF)
_POLYNOMIAL: Final = 0xA001
"""8005 with its bits reflected."""


@inlined
def u8(data: Bytes, at: Any) -> Any:
    """The byte at an index."""
    return np.uint64(data[at])


@inlined
def u16(data: Bytes, at: Any) -> Any:
    """Two bytes, the higher first."""
    return np.uint64(data[at]) << _8 | np.uint64(data[at + _1])


@inlined
def u32(data: Bytes, at: Any) -> Any:
    """Four bytes, the highest first."""
    return (
        np.uint64(data[at]) << _24
        | np.uint64(data[at + _1]) << _16
        | np.uint64(data[at + _2]) << _8
        | np.uint64(data[at + _3])
    )


@inlined
def u64(data: Bytes, at: Any) -> Any:
    """Eight bytes, the highest first."""
    return u32(data, at) << _32 | u32(data, at + _4)


def _crc_tables() -> Any:
    """Row n: what a byte does to the checksum when n more bytes follow it in the block."""
    tables = np.zeros((_BLOCK, 256), np.uint16)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        tables[0, byte] = value
    for row in range(1, _BLOCK):
        before = tables[row - 1]
        tables[row] = before >> 8 ^ tables[0, before & 0xFF]
    return tables


_CRC: Final = _crc_tables()
_CRC_0, _CRC_1, _CRC_2, _CRC_3, _CRC_4, _CRC_5, _CRC_6, _CRC_7 = _CRC[:8]
_CRC_8, _CRC_9, _CRC_10, _CRC_11, _CRC_12, _CRC_13, _CRC_14, _CRC_15 = _CRC[8:]


@inlined
def crc16(data: Bytes, start: Any, end: Any) -> Any:
    """CRC-16/ARC of the bytes from `start` (included) to `end` (excluded).

    Sixteen bytes a step, each with a table of its own, of which only the first two wait for the step before
    ("slicing"). The odd bytes come first, where the checksum is still 0: as if zeros stood before them, which
    change nothing, so that none of them waits for another.
    """
    at = start
    odd = (end - start) & np.uint64(_BLOCK - 1)
    crc = np.uint64(0)
    for place in range(odd):
        crc ^= np.uint64(_CRC[odd - _1 - np.uint64(place), data[at]])
        at += _1
    while at < end:
        # what does not wait for the step before comes first, in brackets: the chain is then one look-up long
        crc = (
            (
                np.uint64(_CRC_13[data[at + _2]])
                ^ np.uint64(_CRC_12[data[at + _3]])
                ^ np.uint64(_CRC_11[data[at + _4]])
                ^ np.uint64(_CRC_10[data[at + _5]])
                ^ np.uint64(_CRC_9[data[at + _6]])
                ^ np.uint64(_CRC_8[data[at + _7]])
                ^ np.uint64(_CRC_7[data[at + _8]])
                ^ np.uint64(_CRC_6[data[at + np.uint64(9)]])
                ^ np.uint64(_CRC_5[data[at + np.uint64(10)]])
                ^ np.uint64(_CRC_4[data[at + np.uint64(11)]])
                ^ np.uint64(_CRC_3[data[at + np.uint64(12)]])
                ^ np.uint64(_CRC_2[data[at + np.uint64(13)]])
                ^ np.uint64(_CRC_1[data[at + np.uint64(14)]])
                ^ np.uint64(_CRC_0[data[at + np.uint64(15)]])
            )
            ^ np.uint64(_CRC_14[u8(data, at + _1) ^ (crc >> _8)])
            ^ np.uint64(_CRC_15[u8(data, at) ^ (crc & _LOW_BYTE)])
        )
        at += _16
    return crc


_PRIME_1: Final = np.uint64(0x9E3779B185EBCA87)
_PRIME_2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_PRIME_3: Final = np.uint64(0x165667B19E3779F9)
_PRIME_4: Final = np.uint64(0x85EBCA77C2B2AE63)
_PRIME_5: Final = np.uint64(0x27D4EB2F165667C5)
# The four accumulators at their start, for seed 0; the sums and differences are modulo 2**64.
_START_1: Final = np.uint64((0x9E3779B185EBCA87 + 0xC2B2AE3D27D4EB4F) % 2**64)
_START_4: Final = np.uint64(-0x9E3779B185EBCA87 % 2**64)


@inlined
def _little32(data: Bytes, at: Any) -> Any:
    return (
        np.uint64(data[at])
        | np.uint64(data[at + _1]) << _8
        | np.uint64(data[at + _2]) << _16
        | np.uint64(data[at + _3]) << _24
    )


@inlined
def _little64(data: Bytes, at: Any) -> Any:
    return _little32(data, at) | _little32(data, at + _4) << _32


@inlined
def _rotate(value: Any, bits: Any) -> Any:
    return value << np.uint64(bits) | value >> np.uint64(64 - bits)


@inlined
def _round(accumulator: Any, lane: Any) -> Any:
    return _rotate(accumulator + lane * _PRIME_2, 31) * _PRIME_1


@inlined
def _merge(digest: Any, accumulator: Any) -> Any:
    return (digest ^ _round(_0, accumulator)) * _PRIME_1 + _PRIME_4


@inlined
def xxh64(data: Bytes, start: Any, end: Any) -> Any:
    """xxh64 with seed 0 of the bytes from `start` to `end` (xxHash's own specification, section XXH64)."""
    at, length = start, end - start
    if length >= _32:
        a, b, c, d = _START_1, _PRIME_2, _0, _START_4
        while end - at >= _32:
            a = _round(a, _little64(data, at))
            b = _round(b, _little64(data, at + _8))
            c = _round(c, _little64(data, at + _16))
            d = _round(d, _little64(data, at + _24))
            at += _32
        digest = _rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)
        digest = _merge(_merge(_merge(_merge(digest, a), b), c), d)
    else:
        digest = _PRIME_5
    digest += length
    while end - at >= _8:
        digest = _rotate(digest ^ _round(_0, _little64(data, at)), 27) * _PRIME_1 + _PRIME_4
        at += _8
    if end - at >= _4:
        digest = _rotate(digest ^ _little32(data, at) * _PRIME_1, 23) * _PRIME_2 + _PRIME_3
        at += _4
    while at < end:
        digest = _rotate(digest ^ u8(data, at) * _PRIME_5, 11) * _PRIME_1
        at += _1
    digest = (digest ^ digest >> np.uint64(33)) * _PRIME_2
    digest = (digest ^ digest >> np.uint64(29)) * _PRIME_3
    return digest ^ digest >> _32
