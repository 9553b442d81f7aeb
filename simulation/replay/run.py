"""One replay from beginning to end: register, find out what is left, send it, say how it went."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop

from simulation.replay.ledger import Ledger
from simulation.replay.registration import register_sources
from simulation.replay.sender import Gateway, ReplayTotals, ledger_path, send_all
from simulation.replay.source import RecordSource
from telematics.settings import Settings

Report = Callable[[ReplayTotals, int, float], None]
"""Told now and then: counters, records expected in all, seconds since the start."""

STATE_FOLDER = "replay"


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """How a replay went.

    Attributes:
        devices: that took part.
        records: acknowledged over all runs.
        records_sent: acknowledged in this run.
        packets: delivered in this run.
        resends: packets that were sent once more.
        reconnects: logins beyond the first of each device.
        left_out: recorded values that their field could not hold, by name.
        seconds: of this run.
    """

    devices: int
    records: int
    records_sent: int
    packets: int
    resends: int
    reconnects: int
    left_out: dict[str, int]
    seconds: float


def state_folder(settings: Settings) -> Path:
    """Where ledgers and the replay's offset are kept."""
    return settings.state / STATE_FOLDER


def replay(
    settings: Settings,
    sources: Sequence[RecordSource],
    gateway: Gateway,
    *,
    speedup: float | None,
    is_registering: bool = True,
    report: Report = lambda *_: None,
    report_every_s: float = 2.0,
) -> ReplaySummary:
    """Send what the ledgers do not show as acknowledged; nothing at all if everything is.

    Args:
        settings: whose registry, and whose state folder holds the ledgers.
        sources: one per device.
        gateway: where to send.
        speedup: recorded seconds for each second of ours; None: everything at once.
        is_registering: whether devices and vehicles are registered first.
        report: progress.
        report_every_s: seconds between two reports.

    Raises:
        PistonError: see `register_sources`, `send_all`.
    """
    started = time.monotonic()
    folder = state_folder(settings)
    totals = ReplayTotals(len(sources))
    waiting = [source for source in sources if not _is_finished(folder, source, totals)]
    if waiting:
        if is_registering:
            register_sources(settings, waiting)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(waiting, folder, gateway, speedup, totals, report, report_every_s, started))
    return ReplaySummary(
        devices=len(sources),
        records=totals.before + totals.delivery.acknowledged,
        records_sent=totals.delivery.acknowledged,
        packets=totals.delivery.packets,
        resends=totals.delivery.resends,
        reconnects=max(0, totals.delivery.connections - len(waiting)),
        left_out=dict(totals.left_out),
        seconds=time.monotonic() - started,
    )


def _is_finished(folder: Path, source: RecordSource, totals: ReplayTotals) -> bool:
    """Whether the ledger shows every record as acknowledged; counts it then."""
    with Ledger.open(ledger_path(folder, source), source.pin) as ledger:
        if ledger.is_finished:
            totals.before += ledger.acknowledged
            totals.entered += ledger.recorded
            totals.finished += 1
        return ledger.is_finished


async def _run(
    sources: Sequence[RecordSource],
    folder: Path,
    gateway: Gateway,
    speedup: float | None,
    totals: ReplayTotals,
    report: Report,
    report_every_s: float,
    started: float,
) -> None:
    expected = totals.before + sum([await asyncio.to_thread(source.count) for source in sources])

    async def tell() -> None:
        while True:
            await asyncio.sleep(report_every_s)
            report(totals, expected, time.monotonic() - started)

    teller = asyncio.create_task(tell())
    try:
        await send_all(sources, folder, gateway, speedup, totals)
    finally:
        teller.cancel()
        with suppress(asyncio.CancelledError):
            await teller
    report(totals, expected, time.monotonic() - started)
