"""Bytes that have arrived on a connection and are not yet understood.

A `bytearray` drops bytes at its front without moving the rest, so appending at the end and consuming from
the head cost what is appended and consumed, however the network split the stream.
"""


class ReceiveBuffer:
    """A queue of bytes whose head can be looked at before it is consumed."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def head(self) -> bytearray:
        """Everything not yet consumed: read it at once, never change or keep it."""
        return self._bytes

    def append(self, received: bytes) -> None:
        """Add what the network brought."""
        self._bytes += received

    def consume(self, count: int) -> None:
        """Forget the first `count` bytes.

        Raises:
            ValueError: there are fewer.
        """
        if not 0 <= count <= len(self._bytes):
            message = f"cannot consume {count} of {len(self._bytes)} bytes"
            raise ValueError(message)
        del self._bytes[:count]

    def skip(self, byte: int) -> int:
        """Consume the run of this byte at the head; returns its length."""
        if not self._bytes or self._bytes[0] != byte:
            return 0  # the rule: no copy of what may be a buffer full of frames
        run = len(self._bytes) - len(self._bytes.lstrip(bytes([byte])))
        del self._bytes[:run]
        return run

    def clear(self) -> None:
        """Forget everything."""
        self._bytes.clear()
