"""How fast whole days come from TimescaleDB into ClickHouse, against a bare COPY of the same rows.

The copy reads the rows as PostgreSQL would hand them to any other store, `COPY (SELECT *) TO STDOUT` in its
binary format, and throws them away. The load has to do that, too, and merges, resolves VINs, sorts,
compresses, compares, and swaps the days in. Both take turns, so that what else runs hits both.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Final

from psycopg import sql

from benchmarks.memory import forget_peak, peak_mib
from benchmarks.processor import ProcessorWatch
from stack.layout import Layout
from telematics.clock import day_start
from telematics.settings import Settings
from warehouse import clients
from warehouse.day_load import load_days
from warehouse.warm_days import TELEMETRY

_SERVERS: Final = ("timescale", "clickhouse")


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over all the rows.

    Attributes:
        seconds: by the clock.
        cpu_s: processor seconds of this process and of the servers.
    """

    seconds: float
    cpu_s: dict[str, float]


@dataclass(frozen=True, slots=True)
class LoadRates:
    """Several rounds.

    Attributes:
        rows: of each pass.
        copies: bare copies.
        loads: first loads, in turns with them.
        reload: once more, merged with what ClickHouse holds.
        peak_mib: most memory of ClickHouse during the first loads, and during the reload.
    """

    rows: int
    copies: list[Pass]
    loads: list[Pass]
    reload: Pass
    peak_mib: tuple[float, float]

    @property
    def ratios(self) -> list[float]:
        """Rate of the load divided by the rate of the copy beside it."""
        return [copy.seconds / load.seconds for copy, load in zip(self.copies, self.loads, strict=True)]

    def rate(self, passes: list[Pass]) -> float:
        """Rows a second of the median pass."""
        return self.rows / median(each.seconds for each in passes)

    def microseconds(self, passes: list[Pass]) -> dict[str, float]:
        """Processor time of a row by process, the median of the passes."""
        return {
            name: median(each.cpu_s[name] for each in passes) / self.rows * 1e6 for name in passes[0].cpu_s
        }


def process_ids(settings: Settings) -> dict[str, int]:
    """Process ids of the two servers."""
    return {name: int(Layout.of(settings).pid_file(name).read_text()) for name in _SERVERS}


def measure(settings: Settings, first: date, until: date, rounds: int) -> LoadRates:
    """Measure the days `first` (inclusive) to `until` (exclusive); ClickHouse holds them afterwards.

    Raises:
        RuntimeError: a load does not end with the rows that the copy read.
    """
    servers = process_ids(settings)
    clickhouse = servers["clickhouse"]
    copies: list[Pass] = []
    loads: list[Pass] = []
    counts: set[int] = set()

    def timed(work: Callable[[], int]) -> Pass:
        watch, own, started = ProcessorWatch(servers), time.process_time(), time.perf_counter()
        counts.add(work())
        seconds, own = time.perf_counter() - started, time.process_time() - own
        return Pass(seconds, {**watch.seconds(), "client": own})

    def load() -> int:
        return load_days(settings, first, until, f"bench-{len(loads)}").row_count

    forget_peak(clickhouse)
    for _ in range(rounds):
        with clients.clickhouse(settings) as client:
            client.command(f"truncate table {TELEMETRY}")
        copies.append(timed(lambda: _copy_out(settings, first, until)))
        loads.append(timed(load))
    first_peak = peak_mib(clickhouse)
    forget_peak(clickhouse)
    again = timed(load)
    if len(counts) != 1:
        message = f"copies and loads do not agree on the number of rows: {sorted(counts)}"
        raise RuntimeError(message)
    return LoadRates(counts.pop(), copies, loads, again, (first_peak, peak_mib(clickhouse)))


def _copy_out(settings: Settings, first: date, until: date) -> int:
    query = sql.SQL(
        "copy (select * from telemetry where time >= {} and time < {}) to stdout (format binary)"
    ).format(sql.Literal(day_start(first)), sql.Literal(day_start(until)))
    with clients.timescale(settings) as connection, connection.cursor() as cursor:
        with cursor.copy(query) as copy:
            for _ in copy:
                pass
        return cursor.rowcount
