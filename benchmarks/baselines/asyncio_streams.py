"""A device server as most are written: asyncio streams on the standard loop, an answer at once, no store.

It does what the protocol asks for and what a port on the internet needs: login, length, checksum, count, and
an idle timeout. Nothing is made durable, so what it acknowledges may be lost; it is here to be compared with.
Run as `python -m benchmarks.baselines.asyncio_streams`; prints its port and serves until its input ends.
"""

import asyncio
import struct
import sys

from fastcrc import crc16

IDLE_S = 300.0


async def serve_device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, from login to end."""
    try:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        await reader.readexactly(length)
        writer.write(b"\x01")
        await writer.drain()
        while True:
            async with asyncio.timeout(IDLE_S):
                (preamble,) = struct.unpack(">I", await reader.readexactly(4))
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                data = await reader.readexactly(length)
                (checksum,) = struct.unpack(">I", await reader.readexactly(4))
            if preamble or crc16.arc(data) != checksum or data[1] != data[-1]:
                break
            writer.write(struct.pack(">I", data[1]))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve until standard input ends."""
    server = await asyncio.start_server(serve_device, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
