"""A fleet on the device port, as its own process: many connections, each sends, waits, and sends again.

Made so that it is not the limit: frames are prepared before the clock starts, one epoll call brings every
answer that is there, and for each the next frame goes out with one system call. Its own processor time is
printed apart. Run as `python -m benchmarks.device_load PORT CONNECTIONS SECONDS`; prints `begin` and then one
JSON object.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.workload import DEVICE_COUNT, Traffic, build_workload

_FRAMES_EACH: Final = 10
_LOGIN_S: Final = 30.0
_WARM_UP_S: Final = 1.0
_READ_BYTES: Final = 4096
_SILENCE_S: Final = 10.0


class SilentServerError(Exception):
    """Nothing came back for ten seconds."""


class _Connection:
    __slots__ = ("counts", "frames", "place", "sent_at", "socket")

    def __init__(self, opened: socket.socket, frames: Sequence[bytes]) -> None:
        self.socket = opened
        self.frames = frames
        self.counts = [frame[9].to_bytes(4) for frame in frames]
        self.place = 0
        self.sent_at = 0.0


def run(port: int, connection_count: int, seconds: float) -> None:
    """Keep every connection busy for some seconds; prints `begin` when the clock starts, then the report.

    The report has `frames`, `records`, `seconds`, `cpu_seconds` of this process, and `latency_ms`: the median
    and the 99th percentile.
    """
    frames = _frames_by_device()
    connections = [_log_in(port, imei, frames[imei]) for imei in list(frames)[:connection_count]]
    epoll = select.epoll()
    by_number = {}
    for connection in connections:
        connection.socket.setblocking(False)
        epoll.register(connection.socket.fileno(), select.EPOLLIN)
        by_number[connection.socket.fileno()] = connection
    for connection in connections:
        _send(connection)
    _serve(epoll, by_number, _WARM_UP_S, [])
    print("begin", flush=True)
    latencies: list[float] = []
    cpu, started = time.process_time(), time.perf_counter()
    frame_count, record_count = _serve(epoll, by_number, seconds, latencies)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    report = _report(frame_count, record_count, elapsed, cpu, latencies)
    print(json.dumps(report), flush=True)
    for connection in connections:
        connection.socket.close()


def _report(
    frame_count: int, record_count: int, elapsed: float, cpu: float, latencies: list[float]
) -> dict[str, object]:
    latencies = sorted(latencies)
    return {
        "frames": frame_count,
        "records": record_count,
        "seconds": elapsed,
        "cpu_seconds": cpu,
        "latency_ms": [latencies[int(share * (len(latencies) - 1))] * 1000 for share in (0.5, 0.99)],
    }


def _frames_by_device() -> dict[str, list[bytes]]:
    workload = build_workload(Traffic.LIVE, DEVICE_COUNT * _FRAMES_EACH)
    by_device: dict[str, list[bytes]] = {}
    for imei, frame in zip(workload.imeis, workload.frames, strict=True):
        by_device.setdefault(imei, []).append(frame)
    return by_device


def _log_in(port: int, imei: str, frames: Sequence[bytes]) -> _Connection:
    opened = socket.create_connection(("127.0.0.1", port), timeout=_LOGIN_S)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.sendall(b"\x00\x0f" + imei.encode())
    if opened.recv(1) != b"\x01":
        message = "the server turned a device away"
        raise SilentServerError(message)
    return _Connection(opened, frames)


def _send(connection: _Connection) -> None:
    connection.sent_at = time.perf_counter()
    connection.socket.send(connection.frames[connection.place])


def _serve(
    epoll: select.epoll, connections: dict[int, _Connection], seconds: float, latencies: list[float]
) -> tuple[int, int]:
    """Answer every acknowledgement with the next frame until the time is over; frames and records."""
    frame_count = record_count = 0
    clock = time.perf_counter
    deadline = clock() + seconds
    while (now := clock()) < deadline:
        ready = epoll.poll(_SILENCE_S, len(connections))
        if not ready:
            message = f"no acknowledgement for {_SILENCE_S:g} s"
            raise SilentServerError(message)
        for number, _ in ready:
            connection = connections[number]
            answer = connection.socket.recv(_READ_BYTES)
            place = connection.place
            if answer != connection.counts[place]:
                message = f"a frame of {connection.frames[place][9]} records was answered with {answer.hex()}"
                raise SilentServerError(message)
            now = clock()
            latencies.append(now - connection.sent_at)
            frame_count += 1
            record_count += answer[3]
            connection.place = place = (place + 1) % _FRAMES_EACH
            connection.sent_at = now
            connection.socket.send(connection.frames[place])
    return frame_count, record_count


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
