"""A device port on the loopback that does what its script says, and after that what a good gateway does."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np

from ingest.codec8.decoding import decode_tcp_frame
from ingest.codec8.encoding import encode_tcp_acknowledgement
from ingest.sink.rows import content_hash
from simulation.device.records import IDENTITY

ACCEPT, REFUSE, CLOSE, SILENCE, ACCEPT_AND_CLOSE = "accept", "refuse", "close", "silence", "accept and close"
ACKNOWLEDGE, FEWER, NONE = "acknowledge", "fewer", "none"

_LOGIN_BYTES = 17
_ENVELOPE_BYTES = 8
_CRC_BYTES = 4


class ScriptedGateway:
    """Answers to logins and packets come from the two scripts, over all connections in turn."""

    def __init__(
        self, logins: Iterable[str] = (), packets: Iterable[str] = (), *, forever: str | None = None
    ) -> None:
        self._logins = deque(logins)
        self._packets = deque(packets)
        self._forever = forever
        """What becomes of logins when their script is over; accepted by default."""
        self.login_count = 0
        self.frames: list[bytes] = []
        """Every packet that came, answered or not."""
        self.stored: list[bytes] = []
        """Those that were acknowledged in full."""
        self.imeis: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._links.values():
            writer.transport.abort()
        await asyncio.gather(*self._links)

    def identities(self) -> np.ndarray:
        """Of the records that were acknowledged, in the order in which they came."""
        rows = [
            (record.timestamp_ms, record.event_io_id, content_hash(record.body))
            for frame in self.stored
            for record in decode_tcp_frame(frame).records
        ]
        return np.array(rows, IDENTITY)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = writer
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._converse(reader, writer)
        finally:
            writer.close()
            del self._links[task]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.imeis.append((await reader.readexactly(_LOGIN_BYTES))[2:].decode())
        self.login_count += 1
        answer = self._logins.popleft() if self._logins else self._forever or ACCEPT
        if answer == SILENCE:
            await reader.read()
        if answer in (SILENCE, CLOSE):
            return
        writer.write(b"\x00" if answer == REFUSE else b"\x01")
        if answer in (REFUSE, ACCEPT_AND_CLOSE):
            return
        while True:
            head = await reader.readexactly(_ENVELOPE_BYTES)
            frame = head + await reader.readexactly(int.from_bytes(head[4:]) + _CRC_BYTES)
            self.frames.append(frame)
            answer = self._packets.popleft() if self._packets else ACKNOWLEDGE
            if answer == CLOSE:
                return
            if answer == SILENCE:
                await reader.read()
                return
            count = len(decode_tcp_frame(frame).records)
            if answer == ACKNOWLEDGE:
                self.stored.append(frame)
            writer.write(encode_tcp_acknowledgement({ACKNOWLEDGE: count, FEWER: count - 1, NONE: 0}[answer]))
