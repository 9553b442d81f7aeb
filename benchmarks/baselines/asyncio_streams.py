"""A device server as a competent engineer writes it first: asyncio streams on the standard loop, no store.

It does what the protocol asks for and what a port on the internet needs, and nothing else: login, length,
checksum, count; a bound on the length field; back pressure on what it writes; and the two deadlines that our
gateway keeps, too: a silent peer may be idle for long, but a frame that has begun has to arrive soon, or
whoever drips bytes holds a socket for ever. Both are `asyncio.timeout`, the cheapest way that the standard
library has. A frame takes two reads, header and rest, and the checksum comes from the same library as ours,
so it is not slow on purpose; it has no shortcut either (no uvloop, no protocol class, no reads past a frame),
so it is not tuned. Nothing is made durable: what it acknowledges may be lost.

The deadlines decide its figure: with one for header and rest together it takes about three quarters, without
any about half of the time. Both fall out of the band around the reference figure (35 to 42 µs where that was
measured), so they are not what was measured there; this one lies in it.

Run as `python -m benchmarks.baselines.asyncio_streams`; prints its port and serves until its input ends.
"""

import asyncio
import struct
import sys

from fastcrc import crc16

IDLE_S = 300.0
FRAME_S = 10.0
MAX_LENGTH = 65_536


async def serve_device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, from login to end."""
    try:
        async with asyncio.timeout(FRAME_S):
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            await reader.readexactly(length)
        writer.write(b"\x01")
        await writer.drain()
        while True:
            async with asyncio.timeout(IDLE_S):
                preamble, length = struct.unpack(">II", await reader.readexactly(8))
            if preamble or not 3 <= length <= MAX_LENGTH:
                break
            async with asyncio.timeout(FRAME_S):
                body = await reader.readexactly(length + 4)
            data, (checksum,) = body[:-4], struct.unpack(">I", body[-4:])
            if crc16.arc(data) != checksum or data[1] != data[-1]:
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
