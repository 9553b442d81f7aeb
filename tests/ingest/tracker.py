"""A tracker for tests: login, stop-and-wait, and the same packet again after every lost connection."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from ingest.codec8.encoding import encode_avl, wrap_tcp
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId
from ingest.codec8.session import Acknowledged, DeviceSession, LoginAccepted


class Tracker:
    """One device on the device port."""

    def __init__(self, imei: str, port: int, answer_timeout_s: float = 5.0) -> None:
        self.imei = imei
        self._port = port
        self._answer_timeout_s = answer_timeout_s

    async def drive(self, packet: Callable[[], Sequence[AvlRecord] | None], pause_s: float) -> None:
        """Send packets until there are no more, each until it is acknowledged."""
        records = packet()
        while records is not None:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    session = DeviceSession(self.imei)
                    writer.write(session.login())
                    accepted = session.feed(await self._read(reader, 1))
                    assert isinstance(accepted[0], LoginAccepted)
                    while records is not None:
                        await self._send(session, reader, writer, records)
                        await asyncio.sleep(pause_s)
                        records = packet()
                finally:
                    writer.close()
            if records is not None:
                await asyncio.sleep(0.1)

    async def _send(
        self,
        session: DeviceSession,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        records: Sequence[AvlRecord],
    ) -> None:
        data = encode_avl(AvlPacket(CodecId.CODEC_8_EXTENDED, tuple(records)))
        writer.write(session.send(wrap_tcp(data), len(records)))
        (answer,) = session.feed(await self._read(reader, 4))
        assert isinstance(answer, Acknowledged)
        assert answer.count == len(records)

    async def _read(self, reader: asyncio.StreamReader, size: int) -> bytes:
        return await asyncio.wait_for(reader.readexactly(size), self._answer_timeout_s)
