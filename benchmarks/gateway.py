"""`piston bench gateway`: frames per CPU-second with the acknowledgement after Kafka's, against a baseline.

The gateway runs as it does in production: its own process, acks=all and idempotence, registry in PostgreSQL.
Servers are private to the run and gone afterwards. Processor time is that of the whole server process, user
and system, over the time that the load lasts; rounds of gateway and baseline alternate. The load generator is
another process (`device_load`), whose own time is reported apart: it must not be the limit.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.crowd import crowd_imeis
from benchmarks.measuring import BaselineCheck, Report, calibrate, calibration_scale, in_turns
from benchmarks.private_stack import private_stack
from benchmarks.processor import process_seconds
from benchmarks.workload import DEVICE_COUNT, Traffic, build_workload
from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import connect, register_fleet
from stack.services import environment_of
from telematics.settings import Settings

STREAMS_REFERENCE_US: Final = 38.5
"""Microseconds a frame of asyncio streams where the reference figures were measured (35 to 42)."""
CONNECTIONS: Final = DEVICE_COUNT
LATENCY_CONNECTIONS: Final = 100
IDLE: Final = 10_000
RECONNECTING: Final = 1_000
_ROUND_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class _Server:
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """User and system time of the process with all its threads."""
        return process_seconds(self.pid)

    def resident_mib(self) -> float:
        """Memory of the process that is in use, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class _Round:
    frames: int
    seconds: float
    server_us: float
    load_us: float
    p50_ms: float
    p99_ms: float


def run(rounds: int = 5) -> Report:
    """Measure; some two minutes, of which the servers' start is half a minute.

    Args:
        rounds: measurements of each figure.
    """
    with private_stack() as settings:
        _register(settings)
        with _gateway(settings) as gateway, _streams() as streams:
            measured: list[tuple[_Round, _Round, _Round]] = []
            calibration_s: list[float] = []
            for _ in range(rounds):
                measured.append(
                    (
                        _measure(gateway, CONNECTIONS),
                        _measure(streams, CONNECTIONS),
                        _measure(gateway, LATENCY_CONNECTIONS),
                    )
                )
                calibration_s += in_turns(1, calibrate)[0]
            crowd = _measure_crowd(gateway)
    return _report(measured, crowd, calibration_scale(calibration_s))


def _report(measured: list[tuple[_Round, _Round, _Round]], crowd: dict[str, float], scale: float) -> Report:
    full, streams, light = ([rounds[place] for rounds in measured] for place in range(3))
    gateway_us = median(item.server_us for item in full)
    streams_us = median(item.server_us for item in streams)
    load_us = median(item.load_us for item in full)
    check = BaselineCheck("asyncio streams", streams_us, STREAMS_REFERENCE_US, scale)
    figures = {
        "frames_per_cpu_second": 1e6 / gateway_us,
        "microseconds_per_frame": gateway_us,
        "ratio_to_asyncio_streams": median(
            other.server_us / mine.server_us for mine, other in zip(full, streams, strict=True)
        ),
        "asyncio_streams_microseconds_per_frame": streams_us,
        "frames_per_second": median(item.frames / item.seconds for item in full),
        "ack_p50_ms": median(item.p50_ms for item in light),
        "ack_p99_ms": median(item.p99_ms for item in light),
        "load_generator_microseconds_per_frame": load_us,
        "asyncio_streams_to_reference": check.quotient,
        "ratio_counts": float(check.counts),
        "calibration": scale,
        **crowd,
    }
    notes = (
        f"{CONNECTIONS:,} connections, stop and wait, live frames; acks=all; {len(measured)} rounds of "
        f"{_ROUND_S:g} s each, gateway and baseline in turns; latency at {LATENCY_CONNECTIONS} connections, "
        f"from the load generator's send to its read",
        f"load generator: {load_us:.1f} µs a frame, {load_us / gateway_us:.2f} of the gateway's",
        check.note(),
    )
    return Report("gateway", figures, notes)


def _measure(server: _Server, connections: int) -> _Round:
    command = [sys.executable, "-m", "benchmarks.device_load", str(server.port), str(connections)]
    with subprocess.Popen([*command, str(_ROUND_S)], stdout=subprocess.PIPE, text=True) as load:
        marks = _follow(server, load)
    frames, cpu_s = marks["frames"], marks["server_cpu_seconds"]
    p50_ms, p99_ms = marks["latency_ms"]
    return _Round(
        frames, marks["seconds"], cpu_s / frames * 1e6, marks["cpu_seconds"] / frames * 1e6, p50_ms, p99_ms
    )


def _follow(server: _Server, load: subprocess.Popen[str]) -> dict[str, Any]:
    """The load's report, with the server's processor time between its two marks."""
    assert load.stdout is not None  # noqa: S101 - a pipe was asked for
    if load.stdout.readline() != "begin\n":
        message = "the load generator ended before it began; its words are above"
        raise RuntimeError(message)
    before = server.cpu_seconds()
    report: dict[str, Any] = json.loads(load.stdout.readline())
    report["server_cpu_seconds"] = server.cpu_seconds() - before
    return report


def _measure_crowd(server: _Server) -> dict[str, float]:
    """Memory of the gateway with many idle devices, and how long many that come back at once wait."""
    command = [sys.executable, "-m", "benchmarks.crowd", str(server.port), str(IDLE), str(RECONNECTING)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
        words, told = crowd.stdout, crowd.stdin
        if words is None or told is None or words.readline() != "idle\n":
            message = "the crowd could not log in; its words are above"
            raise RuntimeError(message)
        resident_mib = server.resident_mib()
        told.write("\n")
        told.flush()
        return {
            f"mib_with_{IDLE}_idle": resident_mib,
            f"seconds_to_serve_{RECONNECTING}_reconnecting": json.loads(words.readline())["seconds"],
        }


def _register(settings: Settings) -> None:
    workload = build_workload(Traffic.LIVE, DEVICE_COUNT)
    imeis = [*workload.imeis, *crowd_imeis(IDLE + RECONNECTING)]
    devices = [NewDevice(imei, f"1HGCM826{number:09d}", Family.OBD) for number, imei in enumerate(imeis)]
    with connect(settings, "bench") as connection:
        register_fleet(connection, devices, "bench")


@contextmanager
def _gateway(settings: Settings) -> Iterator[_Server]:
    environment = environment_of(settings) | {"PISTON_ASK_VERSION": "false"}
    command = [sys.executable, "-m", "cli.main", "gateway"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            process.stdout.readline()
            yield _Server(settings.gateway_port, process.pid)
        finally:
            process.terminate()


@contextmanager
def _streams() -> Iterator[_Server]:
    command = [sys.executable, "-m", "benchmarks.baselines.asyncio_streams"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            port = int(process.stdout.readline())
            time.sleep(0.1)
            yield _Server(port, process.pid)
        finally:
            process.terminate()
