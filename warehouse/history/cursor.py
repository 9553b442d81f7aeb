"""Where a reader stands in the history of vehicles, as opaque URL-safe text.

A cursor is a position in the order (vin, time, device_id, event_id, content_hash), which every tier shares,
plus a fingerprint of the query that it belongs to. Its checksum tells damage and mix-ups from positions; it
is no seal: a cursor grants nothing, it only says where to go on in a query that was allowed anyway.

Layout in bytes: version 1, fingerprint 8, time in µs 8, event_id 4, content_hash 8, length of the VIN 1, VIN,
device_id, check 8.
"""

import base64
import binascii
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import xxhash

from telematics.errors import PistonError
from warehouse.history.resolution import EPOCH, Resolution

_VERSION = 2
_HEAD = struct.Struct(">B8sqiqB")
_CHECK_BYTES = 8
_SENTENCE = "the cursor is damaged or belongs to another query; start again without it"


class InvalidCursorError(PistonError):
    """A cursor is damaged or belongs to another query."""

    exit_code = 2


class Position(NamedTuple):
    """One row's place; a tuple, because its order is the order of the history."""

    vin: str
    time: datetime
    """The record's, or the first moment of the bucket."""
    device_id: str = ""
    """Empty for a bucket, as the rest is 0."""
    event_id: int = 0
    content_hash: int = 0


def fingerprint(
    vin: str, start: datetime, end: datetime, fields: Sequence[str], resolution: Resolution
) -> bytes:
    """Eight bytes that differ between queries whose cursors must not be exchanged."""
    parts = [vin, str(_microseconds(start)), str(_microseconds(end)), resolution, *sorted(fields)]
    return xxhash.xxh64("\0".join(parts).encode()).digest()


def encode(position: Position, query: bytes) -> str:
    """The position as text, for the query with this fingerprint."""
    vin, time, device_id, event_id, content_hash = position
    head = _HEAD.pack(_VERSION, query, _microseconds(time), event_id, content_hash, len(vin.encode()))
    body = head + vin.encode() + device_id.encode()
    return base64.urlsafe_b64encode(body + xxhash.xxh64(body).digest()).rstrip(b"=").decode()


def decode(cursor: str, query: bytes) -> Position:
    """The position that a cursor holds.

    Raises:
        InvalidCursorError: it is damaged, of another release, or of another query.
    """
    try:
        # encode(): a str with anything beyond ASCII is no cursor either
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
        if xxhash.xxh64(body).digest() != check:
            raise InvalidCursorError(_SENTENCE)
        version, owner, time_us, event_id, content_hash, length = _HEAD.unpack_from(body)
        if version != _VERSION or owner != query:
            raise InvalidCursorError(_SENTENCE)
        moment = EPOCH + timedelta(microseconds=time_us)
        names = body[_HEAD.size :]
        return Position(names[:length].decode(), moment, names[length:].decode(), event_id, content_hash)
    except (binascii.Error, struct.error, UnicodeError, OverflowError) as error:
        raise InvalidCursorError(_SENTENCE) from error


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
