"""Cursors of a search: a place in the order of one query, sealed for one partner."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final, Self

import orjson

from serving.consent.gate import FleetAccess
from serving.oauth.keys import SigningKeys
from serving.problems.errors import CursorRefusedError
from serving.search.wanted import Wanted

LONGEST_CURSOR: Final = 512
_MAC_BYTES: Final = 16


class SearchCursors:
    """Seals and opens cursors. The key follows from the token key, so all workers share it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def from_keys(cls, keys: SigningKeys) -> Self:
        """The seal that belongs to the signing key; rotating that key ends open cursors."""
        secret = keys.signing.as_der(private=True)
        return cls(hashlib.sha256(b"piston search cursor v1" + secret).digest())

    def seal(self, fleet: FleetAccess, wanted: Wanted, sorted_by: Sequence[Any]) -> str:
        """An opaque, URL-safe cursor for this partner and query."""
        body = orjson.dumps(list(sorted_by))
        return base64.urlsafe_b64encode(self._mac(fleet, wanted, body) + body).rstrip(b"=").decode()

    def open(self, fleet: FleetAccess, wanted: Wanted, cursor: str) -> Sequence[Any]:
        """The place that a cursor names.

        Raises:
            CursorRefusedError: it was changed, or made for another partner or query.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise CursorRefusedError from error
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(fleet, wanted, body)):
            raise CursorRefusedError
        place: list[Any] = orjson.loads(body)
        return place

    def _mac(self, fleet: FleetAccess, wanted: Wanted, body: bytes) -> bytes:
        asked = orjson.dumps(wanted)
        bound = b"%s\0%d\0%s" % (fleet.client_id.encode(), len(asked), asked)
        return hmac.digest(self._key, bound + body, "sha256")[:_MAC_BYTES]
