"""Cursors as partners see them: a position in one query, sealed.

A cursor carries the query's range, so the second page spans what the first one did even where `to` was left
out and "now" has moved on. It is signed: what a partner changes is refused, and nobody reads meaning into it.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import orjson

from serving.consent.gate import VehicleAccess
from serving.oauth.keys import SigningKeys
from serving.problems.errors import CursorRefusedError
from serving.time_range import TimeRange

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAC_BYTES = 16
LONGEST_CURSOR = 2048


@dataclass(frozen=True, slots=True)
class SealedPosition:
    """Where a query goes on."""

    asked: TimeRange
    after: str
    """The warehouse's own cursor."""


class CursorSeal:
    """Seals and opens cursors. The key follows from the token key, so all workers share it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def from_keys(cls, keys: SigningKeys) -> Self:
        """The seal that belongs to the signing key; rotating that key ends open cursors."""
        secret = keys.signing.as_der(private=True)
        return cls(hashlib.sha256(b"piston cursor seal v1" + secret).digest())

    def seal(self, access: VehicleAccess, position: SealedPosition) -> str:
        """An opaque, URL-safe cursor for this partner and vehicle."""
        body = orjson.dumps(
            [
                (position.asked.start - _EPOCH) // _MICROSECOND,
                (position.asked.end - _EPOCH) // _MICROSECOND,
                position.after,
            ]
        )
        return base64.urlsafe_b64encode(self._mac(access, body) + body).rstrip(b"=").decode()

    def open(self, access: VehicleAccess, cursor: str) -> SealedPosition:
        """What a cursor says.

        Raises:
            CursorRefusedError: it was changed, or made for another partner or vehicle.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise CursorRefusedError from error
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(access, body)):
            raise CursorRefusedError
        start, end, after = orjson.loads(body)
        return SealedPosition(TimeRange(_EPOCH + start * _MICROSECOND, _EPOCH + end * _MICROSECOND), after)

    def _mac(self, access: VehicleAccess, body: bytes) -> bytes:
        bound = f"{access.client_id}\0{access.vin}\0".encode()
        return hmac.digest(self._key, bound + body, "sha256")[:_MAC_BYTES]
