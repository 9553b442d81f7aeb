"""Sources → ledger → devices, all in one event loop: one connection per device, each at its own pace.

For each block of records: enter it in the ledger and sync (it is on disk before it is on the network), then
send it packet by packet, each acknowledged before the next. Blocks are read and encoded in threads, one
ahead, so that parsing never keeps another device's acknowledgement waiting.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from simulation.device.packets import PacketBuilder
from simulation.device.records import RecordBlock
from simulation.device.schedule import AsRecorded, AtOnce, Schedule
from simulation.device.tracker import DeliveryCounters, LinkPolicy, Tracker
from simulation.replay.ledger import LEDGER_SUFFIX, Ledger
from simulation.replay.source import RecordSource

_LONGEST_SLEEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the device port is, and how patient a device is with it."""

    host: str
    port: int
    policy: LinkPolicy = field(default_factory=LinkPolicy)


@dataclass(slots=True)
class ReplayTotals:
    """What a running replay has done so far.

    Attributes:
        devices: in all.
        finished: devices whose records are all acknowledged.
        before: records that an earlier run had got acknowledged.
        entered: records in the ledgers.
        delivery: counters of this run's trackers.
        left_out: recorded values that their field could not hold, by name.
    """

    devices: int
    finished: int = 0
    before: int = 0
    entered: int = 0
    delivery: DeliveryCounters = field(default_factory=DeliveryCounters)
    left_out: Counter[str] = field(default_factory=Counter)


def ledger_path(folder: Path, source: RecordSource) -> Path:
    """The ledger's file of a source."""
    return folder / f"{source.name}{LEDGER_SUFFIX}"


class _Start:
    """The common start of all devices: recorded time begins with the earliest record that is left."""

    def __init__(self, devices: int, speedup: float | None) -> None:
        self._awaited = devices
        self._speedup = speedup
        self._first_ms: list[int] = []
        self._all_are_there = asyncio.Event()
        self._schedule: Schedule = AtOnce()

    async def join(self, first_ms: int | None) -> Schedule:
        """Wait for the others, each saying the time of its first record (None: it has none)."""
        self._awaited -= 1
        if first_ms is not None:
            self._first_ms.append(first_ms)
        if self._awaited == 0:
            if self._speedup is not None and self._first_ms:
                self._schedule = AsRecorded(min(self._first_ms), time.monotonic(), self._speedup)
            self._all_are_there.set()
        if self._speedup is not None and first_ms is not None:
            await self._all_are_there.wait()
        return self._schedule


async def send_all(
    sources: Sequence[RecordSource],
    folder: Path,
    gateway: Gateway,
    speedup: float | None,
    totals: ReplayTotals,
) -> None:
    """Send every source's records until each is acknowledged; what was acknowledged before is not sent again.

    Args:
        sources: one per device.
        folder: of the ledgers.
        gateway: where to send.
        speedup: recorded seconds for each second of ours; None: everything at once.
        totals: counted up while it runs.

    Raises:
        DeviceRefusedError, GatewayAwayError: see `Tracker.deliver`.
        LedgerMismatchError, LedgerDamagedError: see `Ledger`.
        ExceptionGroup: more than one of them at once is reduced to the first.
    """
    start = _Start(len(sources), speedup)
    try:
        async with asyncio.TaskGroup() as group:
            for source in sources:
                group.create_task(_send(source, folder, gateway, start, totals))
    except BaseExceptionGroup as failures:
        raise _first(failures) from failures


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


async def _send(
    source: RecordSource, folder: Path, gateway: Gateway, start: _Start, totals: ReplayTotals
) -> None:
    schedule: Schedule | None = None
    with Ledger.open(ledger_path(folder, source), source.pin) as ledger:
        totals.before += ledger.acknowledged
        totals.entered += ledger.recorded
        if not ledger.is_finished:
            tracker = Tracker(
                source.device.imei,
                gateway.host,
                gateway.port,
                policy=gateway.policy,
                counters=totals.delivery,
            )
            try:
                async with aclosing(_ahead(source.blocks(ledger.acknowledged))) as blocks:
                    async for block in blocks:
                        entered = ledger.recorded
                        await asyncio.to_thread(ledger.record, ledger.acknowledged, block.identities)
                        totals.entered += ledger.recorded - entered
                        schedule = schedule or await start.join(int(block.times_ms[0]))
                        await _deliver(block, ledger, tracker, schedule)
                ledger.finish()
            finally:
                await tracker.disconnect()
            totals.left_out += source.left_out()
        if schedule is None:
            await start.join(None)
        totals.finished += 1


async def _deliver(block: RecordBlock, ledger: Ledger, tracker: Tracker, schedule: Schedule) -> None:
    packets, times_ms = PacketBuilder(block), block.times_ms
    sent = 0
    while sent < len(block):
        due = schedule.due(times_ms, sent)
        if due == sent:
            # woken now and then, so that a cancelled replay ends soon whatever the recorded gap
            wait_s = schedule.seconds_until(int(times_ms[sent]))
            await asyncio.sleep(min(max(wait_s, 0.0), _LONGEST_SLEEP_S))
            continue
        packet = packets.build(sent, due)
        await tracker.deliver(packet)
        ledger.acknowledge(packet.count)
        sent += packet.count


async def _ahead(blocks: Generator[RecordBlock, None, None]) -> AsyncGenerator[RecordBlock, None]:
    """The blocks, the next one being made in a thread while the present one is sent."""
    coming = asyncio.create_task(asyncio.to_thread(next, blocks, None))
    try:
        # shielded: a thread cannot be stopped, and a generator that runs cannot be closed
        while (block := await asyncio.shield(coming)) is not None:
            coming = asyncio.create_task(asyncio.to_thread(next, blocks, None))
            yield block
    finally:
        await asyncio.wait([coming])
        if not coming.cancelled():
            coming.exception()  # raised above already, or of a block that nobody waits for any more
        blocks.close()
