"""Packed alert states as the JSON that Redis keeps, in compiled code."""

from typing import Any, Final

import numpy as np

from ingest.alerts.packed import (
    CODE_LENGTH,
    FIRST_ODOMETER,
    FIRST_VIN,
    IS_LOW,
    NEVER,
    PLACES,
    SIGNALS,
    VIN_LENGTH,
    VIN_TEXTS,
)
from ingest.alerts.rules import DTC, VOLTAGE
from ingest.batch.compiling import Bytes, inlined
from ingest.batch.layout import Column
from ingest.sink.putting import put_decimal, put_signed_decimal, put_text

_DTC, _VOLTAGE = PLACES[DTC], PLACES[VOLTAGE]
_0, _1 = np.uint64(0), np.uint64(1)
_COMMA, _QUOTE = np.uint8(ord(",")), np.uint8(ord('"'))
_OPEN, _CLOSE, _LIST, _END = (np.uint8(ord(sign)) for sign in "{}[]")
_NULL, _TRUE, _FALSE = (np.frombuffer(word, np.uint8) for word in (b"null", b"true", b"false"))
_LONGEST_NAME: Final = 24
_NAMES: Final = np.array([list(f'"{name}":['.encode().ljust(_LONGEST_NAME)) for name in SIGNALS], np.uint8)
_NAME_LENGTHS: Final = np.array([len(f'"{name}":[') for name in SIGNALS], np.int64)

STATE_BYTES: Final = 1024
"""A state as JSON at most: ten names with a time each take 450, trouble codes 160, VINs 60."""


@inlined
def _put_value(out: Bytes, at: Any, place: Any, values: Column, texts: Bytes) -> Any:
    if place == _DTC:
        out[at] = _LIST
        at += _1
        for number in range(values[_DTC]):
            if number > 0:
                out[at] = _COMMA
                at += _1
            out[at] = _QUOTE
            at += _1
            for letter in range(number * CODE_LENGTH, (number + 1) * CODE_LENGTH):
                if texts[np.uint64(letter)] != 0:
                    out[at] = texts[np.uint64(letter)]
                    at += _1
            out[at] = _QUOTE
            at += _1
        out[at] = _END
        return at + _1
    if place == _VOLTAGE:
        out[at] = _LIST
        at += _1
        at = (
            put_text(out, at, _NULL)
            if values[place] == NEVER
            else put_decimal(out, at, np.uint64(values[place]))
        )
        out[at] = _COMMA
        at = put_text(out, at + _1, _TRUE if values[IS_LOW] else _FALSE)
        out[at] = _END
        return at + _1
    if place < FIRST_ODOMETER:
        return put_text(out, at, _TRUE if values[place] else _FALSE)
    if place < FIRST_VIN:
        return put_signed_decimal(out, at, values[place])
    out[at] = _QUOTE
    at += _1
    first = VIN_TEXTS + (place - FIRST_VIN) * VIN_LENGTH
    for letter in range(first, first + VIN_LENGTH):
        out[at] = texts[np.uint64(letter)]
        at += _1
    out[at] = _QUOTE
    return at + _1


def write_states(times: Column, values: Column, texts: Bytes, out: Bytes, bounds: Column) -> Any:
    """Write states as the JSON that `ingest.alerts.memory.decode` reads.

    Args:
        times: of `States`, as the two that follow.
        values: as above.
        texts: as above.
        out: room for `STATE_BYTES` each.
        bounds: filled with where each state starts, and where the last one ends.

    Returns:
        Bytes in use.
    """
    at = _0
    for subject in range(times.shape[0]):
        bounds[subject] = np.int64(at)
        out[at] = _OPEN
        at += _1
        is_first = True
        for place in range(_NAME_LENGTHS.size):
            if times[subject, place] == NEVER:
                continue
            if not is_first:
                out[at] = _COMMA
                at += _1
            is_first = False
            for letter in range(_NAME_LENGTHS[place]):
                out[at] = _NAMES[place, letter]
                at += _1
            at = put_decimal(out, at, np.uint64(times[subject, place]))
            out[at] = _COMMA
            at = _put_value(out, at + _1, place, values[subject], texts[subject])
            out[at] = _END
            at += _1
        out[at] = _CLOSE
        at += _1
    bounds[times.shape[0]] = np.int64(at)
    return np.int64(at)
