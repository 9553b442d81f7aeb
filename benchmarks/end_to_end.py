"""`piston bench end-to-end`: from the device's socket to rows and live state, everything on this machine.

One set of private servers, one run. First each stage alone, with the same kind of frames: the gateway takes a
fleet's live frames into Kafka with both consumers off; then the sink stores what waits there; then the live
writer makes it readable. The sum of what they cost is what the whole may be compared with. Then all of it at
once: live frames, a backfill (full frames, which is a fleet that empties its memory), and live frames at
10,000 records a second while probes time how soon a record is readable at live-status.

Durable means: committed in TimescaleDB. A phase's rate is its records over the time from its first frame
until the last of its records is stored; each phase counts the rows in the table and fails when one is missing
or more are there. Processor time is that of every process of Piston and its servers; the load generator's own
is printed apart.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import freshness
from benchmarks.consumers import Standing
from benchmarks.measuring import Figures, Report
from benchmarks.private_stack import private_stack
from benchmarks.processor import ProcessorWatch
from benchmarks.services import service
from benchmarks.workload import DEVICE_COUNT, Traffic
from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import connect, register_fleet
from stack.layout import Layout
from telematics.clock import epoch_ms, utc_now
from telematics.settings import Settings

FRESHNESS_RATE: Final = 10_000
"""Records a second while freshness is measured."""
_SERVERS: Final = ("kafka", "timescale", "valkey", "clickhouse")
_STAGE_S: Final = 8.0
_WARM_UP_S: Final = 5.0
"""Everything at once before it counts: the broker compiles what it serves consumers with."""
_LIVE_S: Final = 15.0
_BACKFILL_S: Final = 15.0
_FRESHNESS_S: Final = 25.0
_SETTLE_S: Final = 3.0
_PATIENCE_S: Final = 180.0
_LIVE_RECORDS_PER_FRAME: Final = 1.4
_MOST_LIVE: Final = 120_000
_MOST_BACKFILL: Final = 400_000
"""Records a second that are prepared: more than this machine can take."""
_SPAN_MS: Final = 4 * 3_600_000
"""A device of full frames sends a record for every second, and some have half as many again as the mean."""


@dataclass(frozen=True, slots=True)
class _Phase:
    """What one phase did.

    Attributes:
        records: acknowledged, and stored once each.
        load: the load generator's report.
        durable_s: from the first frame until the last record was stored.
        cpu_s: processor seconds by process, over that time.
    """

    records: int
    load: Mapping[str, Any]
    durable_s: float
    cpu_s: Mapping[str, float]

    @property
    def microseconds(self) -> float:
        """Processor time of Piston and its servers, per record."""
        return sum(self.cpu_s.values()) / self.records * 1e6


class _Run:
    """The servers, what runs beside them, and the hour of device time that the next phase uses."""

    def __init__(self, settings: Settings, standing: Standing) -> None:
        self.settings = settings
        self.standing = standing
        self.processes = {name: int(Layout.of(settings).pid_file(name).read_text()) for name in _SERVERS}
        self._next_ms = epoch_ms(utc_now()) - 7 * _SPAN_MS

    @contextmanager
    def services(self, *names: str) -> Iterator[None]:
        """Services of Piston while the block runs."""
        ports = {"gateway": self.settings.gateway_port, "api": self.settings.api_port}
        with ExitStack() as started:
            for name in names:
                self.processes[name] = started.enter_context(service(self.settings, name, ports.get(name)))
                started.callback(self.processes.pop, name)
            yield

    def watch(self) -> ProcessorWatch:
        """Processor time from now on."""
        return ProcessorWatch(dict(self.processes))

    def span(self) -> tuple[int, int]:
        """Device time of the next phase, in milliseconds: nobody else's."""
        start_ms, self._next_ms = self._next_ms, self._next_ms + _SPAN_MS
        return start_ms, self._next_ms

    @contextmanager
    def load(
        self, traffic: Traffic, seconds: float, records: int, start_ms: int, interval_s: float = 0.0
    ) -> Iterator["_Load"]:
        """A fleet that is logged in and waits for its start."""
        command = [
            sys.executable, "-m", "benchmarks.fleet_load", "--port", str(self.settings.gateway_port),
            "--traffic", traffic.value, "--devices", str(DEVICE_COUNT), "--seconds", str(seconds),
            "--start-ms", str(start_ms), "--records", str(records), "--interval", str(interval_s),
        ]  # fmt: skip
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            load = _Load(process)
            load.await_ready()
            yield load


class _Load:
    """The load generator's process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            message = "the load generator ended before its time; its words are above"
            raise RuntimeError(message)
        return line

    def await_ready(self) -> None:
        """All devices are logged in."""
        self._line()

    def start(self) -> None:
        """Let the frames go."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def report(self) -> dict[str, Any]:
        """Its figures, when it is over."""
        report: dict[str, Any] = json.loads(self._line())
        return report


def run() -> Report:
    """Measure; some three minutes.

    Raises:
        RuntimeError: a phase lost a record or stored one twice; there are no figures then.
        TimeoutError: a consumer did not come to the end.
    """
    with private_stack() as servers, Standing(servers) as standing:
        settings = servers.model_copy(update={"ask_version": False})  # devices here know no commands
        _register(settings)
        run = _Run(settings, standing)
        with run.services("gateway"):
            stages = _stages(run)
            with run.services("sink", "live"):
                _everything(run, Traffic.LIVE, _WARM_UP_S, _MOST_LIVE)
                live = _everything(run, Traffic.LIVE, _LIVE_S, _MOST_LIVE)
                backfill = _everything(run, Traffic.BATCH, _BACKFILL_S, _MOST_BACKFILL)
                with run.services("api"):
                    paced, waits_ms = _freshness(run)
    return _report(stages, live, backfill, paced, waits_ms)


def _register(settings: Settings) -> None:
    devices = [
        NewDevice(f"359{number:012d}", f"1HGCM826{number:09d}", Family.OBD) for number in range(DEVICE_COUNT)
    ]
    with connect(settings, "bench") as connection:
        register_fleet(connection, [*devices, *freshness.PROBES], "bench")


def _stages(run: _Run) -> dict[str, float]:
    """Microseconds of each stage alone, per record."""
    start_ms, end_ms = run.span()
    with run.load(Traffic.LIVE, _STAGE_S, int(_STAGE_S * _MOST_LIVE), start_ms) as load:
        watch = run.watch()
        load.start()
        report = load.report()
        gateway = watch.seconds()
    records, messages = report["records"], run.standing.end()
    costs = {"gateway": _per_record(gateway, ("gateway", "kafka"), records)}
    for name, server, position in (
        ("sink", "timescale", run.standing.stored),
        ("live", "valkey", run.standing.readable),
    ):
        with run.services(name):
            while (first := position()) == 0:  # a process that starts is no part of what a record costs
                time.sleep(0.01)
            watch = run.watch()
            while position() < messages:
                time.sleep(0.01)
            share = (messages - first) / messages
            costs[name] = _per_record(watch.seconds(), (name, server, "kafka"), records * share)
    _require_rows(run, start_ms, end_ms, records)
    return costs


def _per_record(cpu_s: Mapping[str, float], names: tuple[str, ...], records: float) -> float:
    return sum(cpu_s[name] for name in names) / records * 1e6


def _everything(run: _Run, traffic: Traffic, seconds: float, most: int, interval_s: float = 0.0) -> _Phase:
    """One phase with every process at work."""
    start_ms, end_ms = run.span()
    with run.load(traffic, seconds, int(seconds * most), start_ms, interval_s) as load:
        time.sleep(_SETTLE_S)
        watch, started = run.watch(), time.monotonic()
        load.start()
        report = load.report()
        messages = run.standing.end()
        run.standing.await_stored(messages, _PATIENCE_S)
        durable_s = time.monotonic() - started
        run.standing.await_readable(messages, _PATIENCE_S)
        cpu_s = watch.seconds()
    _require_rows(run, start_ms, end_ms, report["records"])
    return _Phase(report["records"], report, durable_s, cpu_s)


def _freshness(run: _Run) -> tuple[_Phase, list[float]]:
    partner = freshness.admit(run.settings)
    interval_s = DEVICE_COUNT * _LIVE_RECORDS_PER_FRAME / FRESHNESS_RATE
    start_ms, _ = run.span()
    records = int(_FRESHNESS_S * FRESHNESS_RATE * 1.3)
    with run.load(Traffic.LIVE, _FRESHNESS_S, records, start_ms, interval_s) as load:
        time.sleep(_SETTLE_S)
        watch, started = run.watch(), time.monotonic()
        load.start()
        time.sleep(1)
        waits_ms = freshness.measure(run.settings, partner, _FRESHNESS_S - 2)
        report = load.report()
        run.standing.await_stored(run.standing.end(), _PATIENCE_S)
        durable_s = time.monotonic() - started
        cpu_s = watch.seconds()
    partner.close()
    return _Phase(report["records"], report, durable_s, cpu_s), list(waits_ms)


def _require_rows(run: _Run, start_ms: int, end_ms: int, records: int) -> None:
    stored = run.standing.rows(start_ms, end_ms)
    if stored != records:
        message = f"{records:,} records were acknowledged, {stored:,} are stored: there are no figures"
        raise RuntimeError(message)


def _report(
    stages: Mapping[str, float], live: _Phase, backfill: _Phase, paced: _Phase, waits_ms: list[float]
) -> Report:
    stage_sum = sum(stages.values())
    figures: Figures = {
        "live_records_per_second": live.records / live.durable_s,
        "backfill_records_per_second": backfill.records / backfill.durable_s,
        "cpu_microseconds_per_record": live.microseconds,
        "stage_sum_microseconds_per_record": stage_sum,
        "ratio_to_stage_sum": live.microseconds / stage_sum,
        "freshness_p50_ms": _quantile(waits_ms, 0.5),
        "freshness_p99_ms": _quantile(waits_ms, 0.99),
        "freshness_records_per_second": paced.records / paced.load["seconds"],
        "backfill_cpu_microseconds_per_record": backfill.microseconds,
        "acknowledged_live_records_per_second": live.records / live.load["seconds"],
        "load_generator_microseconds_per_record": live.load["cpu_seconds"] / live.records * 1e6,
        **{f"stage_{name}_microseconds_per_record": cost for name, cost in stages.items()},
        **{
            f"live_{name}_microseconds_per_record": seconds / live.records * 1e6
            for name, seconds in live.cpu_s.items()
        },
        **{
            f"backfill_{name}_microseconds_per_record": seconds / backfill.records * 1e6
            for name, seconds in backfill.cpu_s.items()
        },
    }
    notes = [
        f"{DEVICE_COUNT:,} devices, stop and wait; live {live.records:,} records, backfill "
        f"{backfill.records:,}, each stored once, after {_WARM_UP_S:g} s of warming up; broker, database "
        "and load generator on the same machine",
        f"freshness: {len(waits_ms):,} records of {len(freshness.PROBES)} probes, from before the send until "
        f"the API shows them",
    ]
    if live.load["frames_ran_out"] or backfill.load["frames_ran_out"]:
        notes.append("THE LOAD RAN OUT OF FRAMES: the rates are too low")
    return Report("end-to-end", figures, tuple(notes))


def _quantile(ascending: list[float], share: float) -> float:
    return ascending[int(share * (len(ascending) - 1))]
