"""Bodies of posted readings: JSON and NDJSON, read no further than their limits.

JSON is read whole, then looked at; NDJSON passes through line by line. Both hand out documents, each with
what is wrong with it as JSON, and know the hash of what they read.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from starlette.exceptions import HTTPException

from ingest.stream.reading_form import Fault
from serving.json_body import BoundedBody, NotJsonError, parse_json
from serving.problems.errors import FieldProblem, InvalidParametersError
from serving.vehicles.readings.limits import (
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
    MAX_READINGS,
    MAX_STREAM_BYTES,
    MAX_STREAM_READINGS,
)

READINGS: Final = "readings"
_BLANKS: Final = b" \t\r"


class MediaType(StrEnum):
    """What a body may be."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"


class Item(NamedTuple):
    """One reading as it came."""

    document: object
    fault: Fault | None = None
    """Set where it is no JSON."""


class PostedBody(Protocol):
    """A body with readings in it."""

    media_type: MediaType
    pointer: str
    """JSON Pointer to where readings begin; a number follows where there may be several."""
    is_numbered: bool

    async def prepare(self) -> None:
        """Read what has to be read before anything is done.

        Raises:
            HTTPException: 413, it is too long.
            InvalidParametersError: it is no list of readings.
        """

    def items(self) -> AsyncIterator[Item]:
        """Its readings in order.

        Raises:
            HTTPException: 413, it is too long.
        """

    async def digest(self) -> bytes:
        """SHA-256 of the whole body; reads what is left of it.

        Raises:
            HTTPException: 413, it is too long.
        """


def parse_media_type(content_type: str | None, content_encoding: str | None) -> MediaType:
    """The body's form.

    Raises:
        HTTPException: 415, none that is taken here, or compressed.
    """
    name, _, parameters = (content_type or "").partition(";")
    charset = parameters.strip().lower()
    if (
        charset not in ("", "charset=utf-8", 'charset="utf-8"')
        or (content_encoding or "identity") != "identity"
    ):
        raise HTTPException(415)
    try:
        return MediaType(name.strip().lower())
    except ValueError:
        raise HTTPException(415) from None


class JsonBody:
    """One reading, `{"readings": […]}` or `[…]`."""

    media_type = MediaType.JSON

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._body = BoundedBody(chunks, MAX_BODY_BYTES)
        self._documents: list[object] = []
        self.pointer = "#/body"
        self.is_numbered = False

    async def prepare(self) -> None:
        """See `PostedBody`."""
        try:
            self._documents = self._list(parse_json(await self._body.read()))
        except NotJsonError as error:
            raise InvalidParametersError(FieldProblem("#/body", str(error))) from error
        if not self._documents:
            raise InvalidParametersError(FieldProblem(self.pointer, "has no readings in it"))
        if len(self._documents) > MAX_READINGS:
            raise HTTPException(413)

    def _list(self, document: object) -> list[object]:
        if isinstance(document, list):
            self.is_numbered = True
            return document
        if not isinstance(document, dict) or READINGS not in document:
            return [document]
        self.pointer, self.is_numbered = f"#/body/{READINGS}", True
        listed = document[READINGS]
        if not isinstance(listed, list):
            raise InvalidParametersError(FieldProblem(self.pointer, "must be a list"))
        if len(document) > 1:
            raise InvalidParametersError(FieldProblem("#/body", f"must hold {READINGS} and nothing else"))
        return listed

    async def items(self) -> AsyncIterator[Item]:
        """See `PostedBody`."""
        for document in self._documents:
            yield Item(document)

    async def digest(self) -> bytes:
        """See `PostedBody`."""
        return await self._body.digest()


class NdjsonBody:
    """A reading in each line; blank lines are passed over."""

    media_type = MediaType.NDJSON
    pointer = "#/body"
    is_numbered = True

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._body = BoundedBody(chunks, MAX_STREAM_BYTES)

    async def prepare(self) -> None:
        """See `PostedBody`."""

    async def items(self) -> AsyncIterator[Item]:
        """See `PostedBody`."""
        lines, count = LineSplitter(MAX_LINE_BYTES), 0
        async for chunk in self._body:
            for line in lines.feed(chunk):
                count += 1
                yield _item(line, count)
        for line in lines.end():
            yield _item(line, count + 1)

    async def digest(self) -> bytes:
        """See `PostedBody`."""
        return await self._body.digest()


def _item(line: bytes | None, count: int) -> Item:
    if count > MAX_STREAM_READINGS:
        raise HTTPException(413)
    if line is None:
        return Item(None, Fault("", "too_long", f"is longer than {MAX_LINE_BYTES} bytes"))
    try:
        return Item(parse_json(line))
    except NotJsonError as error:
        return Item(None, Fault("", "bad_json", str(error)))


class LineSplitter:
    """Cuts a stream into lines that are not blank; of a line that is too long only that is kept."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._line = bytearray()
        self._is_too_long = False

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """The lines that end in this chunk; None stands for one that is too long."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._append(part)
            yield from self.end()
        self._append(rest)

    def end(self) -> Iterator[bytes | None]:
        """The line that has begun, if it is one: the last line of a stream needs no line feed."""
        line, is_too_long = bytes(self._line).strip(_BLANKS), self._is_too_long
        self._line.clear()
        self._is_too_long = False
        if is_too_long:
            yield None
        elif line:
            yield line

    def _append(self, part: bytes) -> None:
        if self._is_too_long or len(self._line) + len(part) > self._longest:
            self._is_too_long = True
            self._line.clear()
        else:
            self._line += part


def open_body(media_type: MediaType, chunks: AsyncIterable[bytes]) -> PostedBody:
    """The body of that form."""
    return JsonBody(chunks) if media_type is MediaType.JSON else NdjsonBody(chunks)
