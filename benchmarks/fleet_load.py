"""A driving fleet on the device port, as its own process: every record is new, so all of them are stored.

Each device sends a frame, waits for its acknowledgement, and sends the next, at once or so often that the
whole fleet keeps a rate. Frames are prepared before the clock starts (`driving`), one epoll call brings every
answer that is there, and its own processor time is printed apart. Prints `ready` when all are logged in,
waits for a line on standard input, and prints one JSON object when the time is over and every frame in flight
is acknowledged.
"""

import argparse
import json
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from benchmarks.driving import FRAMES_EACH, drive_frames
from benchmarks.workload import Traffic

_LOGIN_S: Final = 30.0
_SILENCE_S: Final = 20.0
_READ_BYTES: Final = 4096
_COUNT_AT: Final = 9
"""Where a TCP frame says how many records it has."""


class _Device:
    __slots__ = ("count", "frames", "place", "sent_at", "socket")

    def __init__(self, opened: socket.socket, frames: Sequence[bytes]) -> None:
        self.socket = opened
        self.frames = frames
        self.place = 0
        self.sent_at = 0.0
        self.count = 0

    def send(self, now: float) -> bool:
        """Send the next frame; False: there is none."""
        if self.place == len(self.frames):
            return False
        frame = self.frames[self.place]
        self.place += 1
        self.sent_at = now
        self.count = frame[_COUNT_AT]
        if self.socket.send(frame) != len(frame):
            message = "the socket took only a part of a frame"
            raise ConnectionError(message)
        return True


class FleetLoad:
    """Devices that are logged in, and the load that they make."""

    def __init__(self, port: int, frames: dict[str, list[bytes]]) -> None:
        self._epoll = select.epoll()
        self._devices: dict[int, _Device] = {}
        for imei, prepared in frames.items():
            device = _Device(_log_in(port, imei), prepared)
            self._devices[device.socket.fileno()] = device
            self._epoll.register(device.socket.fileno(), select.EPOLLIN)

    def run(self, seconds: float, interval_s: float) -> dict[str, object]:
        """Send for some seconds, then wait for the last answers.

        Args:
            seconds: how long frames go out.
            interval_s: between two frames of one device; 0: each goes out upon the answer to the last.
        """
        clock = time.perf_counter
        cpu, started = time.process_time(), clock()
        deadline = started + seconds
        waiting = deque(
            (started + interval_s * number / len(self._devices), device)
            for number, device in enumerate(self._devices.values())
        )
        in_flight = frame_count = record_count = 0
        latencies: list[float] = []
        while True:
            now = clock()
            while waiting and (waiting[0][0] <= now or now >= deadline):
                _, device = waiting.popleft()
                in_flight += now < deadline and device.send(now)
            if not in_flight and not waiting:
                break
            pause_s = max(0.0, waiting[0][0] - now) if waiting else _SILENCE_S
            ready = self._epoll.poll(pause_s, max(1, in_flight))
            if not ready and not waiting and in_flight:
                message = f"{in_flight} frames had no answer within {_SILENCE_S:g} s"
                raise ConnectionError(message)
            now = clock()
            for number, _ in ready:
                device = self._devices[number]
                answer = device.socket.recv(_READ_BYTES)
                if answer != device.count.to_bytes(4):
                    message = f"a frame of {device.count} records was answered with {answer.hex()}"
                    raise ConnectionError(message)
                latencies.append(now - device.sent_at)
                frame_count += 1
                record_count += device.count
                in_flight -= 1
                waiting.append((device.sent_at + interval_s, device))
        latencies.sort()
        return {
            "frames": frame_count,
            "records": record_count,
            "seconds": clock() - started,
            "cpu_seconds": time.process_time() - cpu,
            "frames_ran_out": any(device.place == len(device.frames) for device in self._devices.values()),
            "latency_ms": [latencies[int(share * (len(latencies) - 1))] * 1000 for share in (0.5, 0.99)],
        }


def _log_in(port: int, imei: str) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), timeout=_LOGIN_S)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.sendall(b"\x00\x0f" + imei.encode())
    if opened.recv(1) != b"\x01":
        message = "the server turned a device away"
        raise ConnectionError(message)
    opened.setblocking(False)
    return opened


def main() -> None:
    """Read the arguments, log in, and make the load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="the device port")
    parser.add_argument("--traffic", type=Traffic, required=True, choices=list(Traffic))
    parser.add_argument("--devices", type=int, required=True, help="connections")
    parser.add_argument("--seconds", type=float, required=True, help="how long frames go out")
    parser.add_argument("--start-ms", type=int, required=True, help="time of each device's first record")
    parser.add_argument("--records", type=int, required=True, help="how many records to prepare, in all")
    parser.add_argument("--interval", type=float, default=0.0, help="seconds between frames of one device")
    options = parser.parse_args()
    per_round = options.devices * FRAMES_EACH * (15.5 if options.traffic is Traffic.BATCH else 1.4)
    rounds = 1 + int(options.records / per_round)
    load = FleetLoad(options.port, drive_frames(options.traffic, options.devices, options.start_ms, rounds))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(load.run(options.seconds, options.interval)), flush=True)


if __name__ == "__main__":
    main()
