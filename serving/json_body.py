"""Request bodies that are read by hand: bounded, hashed, and strict JSON.

JSON is I-JSON (RFC 7493): UTF-8, no NaN, no name twice in an object, because nobody knows which of two values
was meant. FastAPI's own reading has no bound, and takes all of that.
"""

import hashlib
import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import orjson
from starlette.exceptions import HTTPException


class NotJsonError(ValueError):
    """A text is no JSON of ours; the message says why."""


def parse_json(text: bytes | bytearray) -> object:
    """Decode I-JSON.

    Raises:
        NotJsonError: it is none.
    """
    try:
        orjson.loads(text)  # strict about UTF-8, surrogates, NaN, infinities and depth
        return json.loads(text, object_pairs_hook=_object)
    except NotJsonError:
        raise
    except orjson.JSONDecodeError as error:
        message = f"is not JSON: {error.msg}, byte {error.pos}"
        raise NotJsonError(message) from error
    except (RecursionError, ValueError) as error:
        message = "is nested too deep, or holds a number that is too long"
        raise NotJsonError(message) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        message = "has a name twice in one object"
        raise NotJsonError(message)
    return found


class BoundedBody:
    """Chunks of a body, hashed as they pass, up to a limit."""

    def __init__(self, chunks: AsyncIterable[bytes], limit: int) -> None:
        self._chunks = chunks.__aiter__()
        self._limit = limit
        self._size = 0
        self._hash = hashlib.sha256()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Its chunks; 413 where there are too many."""
        async for chunk in self._chunks:
            self._size += len(chunk)
            if self._size > self._limit:
                raise HTTPException(413)
            self._hash.update(chunk)
            yield chunk

    async def read(self) -> bytes:
        """All of it.

        Raises:
            HTTPException: 413, it is longer.
        """
        return b"".join([chunk async for chunk in self])

    async def digest(self) -> bytes:
        """SHA-256 of all of it; reads what is left.

        Raises:
            HTTPException: 413, it is longer.
        """
        async for _ in self:
            pass
        return self._hash.digest()
