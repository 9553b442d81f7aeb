"""Cursors as partners see them: a position in one query, sealed.

A cursor carries its query, range, fields, units and resolution, so the second page answers what the first one
did even where `to` was left out and "now" has moved on. It is signed: what a partner changes is refused, and
nobody reads meaning into it.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import orjson

from serving.consent.gate import VehicleAccess, VehiclesAccess
from serving.oauth.keys import SigningKeys
from serving.problems.errors import CursorRefusedError
from serving.time_range import TimeRange
from serving.vehicles.units import Units
from warehouse.history import Resolution

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAC_BYTES = 16
LONGEST_CURSOR = 2048


@dataclass(frozen=True, slots=True)
class SealedPosition:
    """Where a query goes on."""

    span: TimeRange
    units: Units
    resolution: Resolution
    fields: tuple[str, ...]
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
        # v2: with fields, units and resolution
        return cls(hashlib.sha256(b"piston cursor seal v2" + secret).digest())

    def seal(self, access: VehicleAccess | VehiclesAccess, position: SealedPosition) -> str:
        """An opaque, URL-safe cursor for this partner and vehicle, or for these vehicles."""
        body = orjson.dumps(
            [
                (position.span.start - _EPOCH) // _MICROSECOND,
                (position.span.end - _EPOCH) // _MICROSECOND,
                position.units,
                position.resolution,
                position.fields,
                position.after,
            ]
        )
        return base64.urlsafe_b64encode(self._mac(access, body) + body).rstrip(b"=").decode()

    def open(
        self, access: VehicleAccess | VehiclesAccess, cursor: str, pointer: str = "#/query/cursor"
    ) -> SealedPosition:
        """What a cursor says.

        Raises:
            CursorRefusedError: it was changed, or made for another partner or for other vehicles.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise CursorRefusedError(pointer=pointer) from error
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(access, body)):
            raise CursorRefusedError(pointer=pointer)
        start, end, units, resolution, fields, after = orjson.loads(body)
        return SealedPosition(
            TimeRange(_EPOCH + start * _MICROSECOND, _EPOCH + end * _MICROSECOND),
            Units(units),
            Resolution(resolution),
            tuple(fields),
            after,
        )

    def _mac(self, access: VehicleAccess | VehiclesAccess, body: bytes) -> bytes:
        if isinstance(access, VehicleAccess):
            owner = access.vin
        else:
            # everything asked for, readable or not: consents may change while pages are turned
            owner = "bulk:" + hashlib.sha256(" ".join(access.asked).encode()).hexdigest()
        bound = f"{access.client_id}\0{owner}\0".encode()
        return hmac.digest(self._key, bound + body, "sha256")[:_MAC_BYTES]
