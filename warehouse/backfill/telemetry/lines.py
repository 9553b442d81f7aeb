"""Text files in blocks of whole lines, decompressed on the way, whatever is in them.

A block is bounded, so is a line: one that does not fit a block is set aside and the next one read. A file
that breaks off (a truncated gzip, a bad disk) gives what came before and then says so.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from warehouse.backfill.telemetry.rejects import MAX_ROW_CHARACTERS, Reason, Reject, readable

BLOCK_BYTES: Final = 8 << 20
"""About 60,000 lines of telemetry; what a block becomes in Arrow is about as much again."""
_CHUNK_BYTES: Final = 1 << 18
"""What is lost at most before the place where a compressed file is damaged."""
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines, and the number of the first; the file's first line is 1."""

    content: bytes
    first_line: int

    def lines(self) -> list[bytes]:
        """Each line, without its end."""
        lines = self.content.split(b"\n")
        if not lines[-1]:
            lines.pop()
        return [line.removesuffix(b"\r") for line in lines]

    @property
    def line_count(self) -> int:
        """Lines of the block; the last may lack its end."""
        return self.content.count(b"\n") + (not self.content.endswith(b"\n"))


class LineFile:
    """A text file as blocks; what is wrong with the file itself is in `rejects`, by row."""

    def __init__(self, path: Path, name: str, codec: str | None, header_lines: int = 0) -> None:
        self._path = path
        self._name = name
        self._codec = codec
        self._header_lines = header_lines
        self.rejects: list[Reject] = []
        self._line = 1

    def blocks(self) -> Iterator[Block]:
        """The blocks in their order."""
        pending: list[bytes] = []
        size = 0
        is_skipping = False
        for chunk in self._chunks():
            if is_skipping:
                # the rest of a line that is too long
                end = chunk.find(b"\n")
                if end < 0:
                    continue
                chunk, is_skipping = chunk[end + 1 :], False
                self._line += 1
            pending.append(chunk)
            size += len(chunk)
            if size < BLOCK_BYTES:
                continue
            content = b"".join(pending)
            cut = content.rfind(b"\n") + 1
            if not cut:
                self._set_aside(Reason.LONG_LINE, "", content[:MAX_ROW_CHARACTERS])
                pending, size, is_skipping = [], 0, True
                continue
            yield self._block(content[:cut])
            pending, size = [content[cut:]], len(content) - cut
        if content := b"".join(pending):
            yield self._block(content)

    def _block(self, content: bytes) -> Block:
        block = Block(content, self._line)
        self._line += block.line_count
        return block

    def _set_aside(self, reason: Reason, detail: str, row: bytes = b"") -> None:
        row_number = max(0, self._line - self._header_lines)
        self.rejects.append(Reject(self._name, row_number, reason, detail, readable(row)))

    def _chunks(self) -> Iterator[bytes]:
        """The content without a byte order mark; ends where it cannot be read on."""
        is_first = True
        try:
            with pa.input_stream(str(self._path), compression=self._codec) as file:
                while chunk := bytes(file.read(_CHUNK_BYTES)):
                    if is_first:
                        if chunk.startswith(_UTF16_MARKS):
                            self._set_aside(Reason.UNREADABLE_FILE, "UTF-16; save it as UTF-8")
                            return
                        chunk, is_first = chunk.removeprefix(_UTF8_MARK), False
                    yield chunk
        except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
            self._set_aside(Reason.UNREADABLE_FILE, readable(type(error).__name__))
