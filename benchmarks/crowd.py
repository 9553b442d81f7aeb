"""Many devices that only hold their connection, and many that come back in the same moment.

Run as `python -m benchmarks.crowd PORT IDLE RECONNECTING`; prints `idle` when all idle ones are logged in,
then waits for a line on standard input, and then prints one JSON object: `seconds` until every reconnecting
device, all at once, is logged in and has its first acknowledgement.
"""

import json
import select
import socket
import sys
import time
from typing import Final

from benchmarks.workload import Traffic, build_workload

_STEP: Final = 500
_PATIENCE_S: Final = 60.0
_FIRST: Final = 358_000_000_000_000


def crowd_imeis(count: int) -> list[str]:
    """IMEIs of the crowd, apart from those of the other load."""
    return [str(_FIRST + number) for number in range(count)]


def run(port: int, idle_count: int, reconnecting_count: int) -> None:
    """Hold the idle ones, then let the others come back at once."""
    imeis = crowd_imeis(idle_count + reconnecting_count)
    idle: list[socket.socket] = []
    for start in range(0, idle_count, _STEP):
        step = [_connect(port, imei) for imei in imeis[start : min(start + _STEP, idle_count)]]
        for opened in step:
            opened.setblocking(True)
            if opened.recv(1) != b"\x01":
                message = "the server turned a device away"
                raise ConnectionError(message)
        idle += step
    print("idle", flush=True)
    sys.stdin.readline()
    frame = build_workload(Traffic.LIVE, 1).frames[0]
    started = time.perf_counter()
    epoll = select.epoll()
    expected = b"\x01" + frame[9].to_bytes(4)
    waiting: dict[int, tuple[socket.socket, bytearray]] = {}
    for imei in imeis[idle_count:]:
        opened = _connect(port, imei, frame)
        epoll.register(opened.fileno(), select.EPOLLIN)
        waiting[opened.fileno()] = opened, bytearray()
    while waiting:
        for number, _ in epoll.poll(_PATIENCE_S):
            opened, received = waiting[number]
            received += opened.recv(16)
            if bytes(received) == expected:
                epoll.unregister(number)
                del waiting[number]
                idle.append(opened)
            elif not expected.startswith(received) or time.perf_counter() - started > _PATIENCE_S:
                message = f"a device heard {received.hex()} after {time.perf_counter() - started:.1f} s"
                raise ConnectionError(message)
    print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)


def _connect(port: int, imei: str, frame: bytes = b"") -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
    opened.sendall(b"\x00\x0f" + imei.encode() + frame)
    opened.setblocking(False)
    return opened


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
