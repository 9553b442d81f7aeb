"""The baseline of the gateway's benchmark does what a device needs, or it is no baseline."""

import asyncio

from benchmarks.baselines.asyncio_streams import serve_device
from tests.ingest.codec8 import wire

LOGIN = b"\x00\x0f" + wire.IMEI.encode()


async def test_it_answers_a_login_and_every_frame_with_its_count_and_hangs_up_on_a_wrong_checksum() -> None:
    server = await asyncio.start_server(serve_device, "127.0.0.1", 0)
    async with server, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(LOGIN)
        assert await reader.readexactly(1) == b"\x01"
        for frame, count in ((wire.VENDOR_CODEC_8_TWO_RECORDS, 2), (wire.VENDOR_CODEC_8E, 1)):
            writer.write(frame)
            assert await reader.readexactly(4) == count.to_bytes(4)
        writer.write(wire.VENDOR_CODEC_8[:-1] + b"\x00")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
