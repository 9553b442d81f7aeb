"""Checksum and hash in compiled code equal the libraries that the rest of the program uses."""

import random
from functools import cache

import numba
import numpy as np
import pytest
from fastcrc import crc16 as fast
from xxhash import xxh64_intdigest

from ingest.batch.compiling import Bytes, array, compile_kernel
from ingest.batch.wire import crc16, xxh64


def checksum_of(data: Bytes, start: int, end: int) -> int:
    return crc16(data, np.uint64(start), np.uint64(end))


def hash_of(data: Bytes, start: int, end: int) -> int:
    return xxh64(data, np.uint64(start), np.uint64(end))


@cache
def compiled(function):
    arguments = (array(np.uint8, is_readonly=True), numba.int64, numba.int64)
    return compile_kernel(function, arguments, numba.uint64)


def test_the_checksum_has_the_check_value_of_crc_16_arc() -> None:
    assert compiled(checksum_of)(np.frombuffer(b"123456789", np.uint8), 0, 9) == 0xBB3D


@pytest.mark.parametrize("length", [*range(70), 255, 1280, 65_536])
def test_checksum_and_hash_equal_the_libraries_at_every_length_and_place(length: int) -> None:
    chance = random.Random(length)
    before = chance.randrange(20)
    content = chance.randbytes(before + length + 7)
    data, part = np.frombuffer(content, np.uint8), content[before : before + length]
    assert compiled(checksum_of)(data, before, before + length) == fast.arc(part)
    assert compiled(hash_of)(data, before, before + length) == xxh64_intdigest(part)
