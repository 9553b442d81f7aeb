"""Rounds on one fresh system: traffic flows, something dies in the middle of it, the system goes on.

Order of one round:

1. wait for its moment, and for one at which something is in flight;
2. in one step of the loop that the trackers live in: note what is sent and unacknowledged, what is
   acknowledged, and kill. So nothing runs between the look and the blow;
3. look which of the acknowledged records TimescaleDB lacks. Records only ever come, so what is missing after
   the blow was missing at it; the sink is held meanwhile, so that it does not fill in what was. Where the
   database itself died, it is asked when it is back, and what transactions after its recovery have put does
   not count as there. Of a killed live writer, Valkey tells how far it was, and stream positions tell which
   acknowledged records lie beyond;
4. wait until the system goes on: packets that were first sent after the blow are acknowledged, in the
   hypertable and in the live state.

A blow that met nothing in flight is no round: it is struck again. After the last round the trackers finish
what they have begun, the consumers catch up, and ledger and stores are compared.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from tests.ingest.campaign.judge import Totals, Truth, Verdict, judge
from tests.ingest.campaign.ledger import Identity, Ledger, Parcel, identities_of
from tests.ingest.campaign.plan import Round, Victim
from tests.ingest.campaign.system import OUTAGES, System, place_of, running_system
from tests.ingest.campaign.trackers import make_trackers
from tests.ingest.campaign.traffic import Car

CARS: Final = 20
PAUSE_S: Final = 0.06
"""Between an acknowledgement and a tracker's next packet."""
STORY_BEGAN_AGO_MS: Final = 2 * 24 * 3600 * 1000
"""The story runs a hundred times as fast as the clock, and must not overtake it."""
_PATIENCE_S: Final = 180.0
"""A broker starts within 5 s; on a machine with twenty times too much to do it was a minute and more."""
_FIRST_PATIENCE_S: Final = 300.0
"""A machine that never ran this release compiles the kernels of sink and live writer first."""
_BLOWS: Final = 5
"""Tries to meet something in flight."""
_LOOKED_AT: Final = 300
"""Packets, those acknowledged last, that are looked for in the stores after a blow."""
_FRESH: Final = 5
"""Packets that have to come through: one alone may be an old one, sent once more."""
_POLL_S: Final = 0.05

Result = TypeVar("Result")
Progress = Callable[[str], None]


class CampaignError(AssertionError):
    """The system did not go on, or nothing was in flight; the text says what the logs say."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a blow met and how long the system needed."""

    number: int
    victims: tuple[Victim, ...]
    unacknowledged: int
    """Packets that were sent and whose acknowledgement their sender had not read."""
    unstored: int
    """Acknowledged records, of the last few hundred packets, that were not in the hypertable."""
    unsettled: int | None
    """Acknowledged records, of the same, that were not in the live state; None: live was not killed."""
    recovered_s: float
    """From the blow until new packets were acknowledged, stored and live."""
    blows: int
    """1, or more where earlier ones met nothing in flight."""


@dataclass(frozen=True, slots=True)
class SittingResult:
    """What a sitting came to."""

    rounds: tuple[RoundResult, ...]
    verdict: Verdict
    totals: Totals
    seconds: float


@dataclass(frozen=True, slots=True)
class _Blow:
    """The moment itself."""

    at: float
    unacknowledged: int
    acknowledged: frozenset[Parcel]
    mark: int
    """How many packets had been sent."""
    held: list[int]
    """The sink's processes, if it is held."""


def sit(rounds: Sequence[Round], seed: int, progress: Progress) -> SittingResult:
    """Run rounds on a system of their own and judge them. Call from the main thread.

    Raises:
        CampaignError: the system did not go on after a blow, or did not settle in the end.
    """
    started = time.monotonic()
    start_ms = int(time.time() * 1000) // 1000 * 1000 - STORY_BEGAN_AGO_MS
    cars = [Car(Random(f"{seed}/{rounds[0].number}").randrange(2**32), n, start_ms) for n in range(CARS)]
    with running_system() as system:
        system.register(cars)
        progress(f"a system of its own runs after {time.monotonic() - started:.1f} s")
        return asyncio.run(_Sitting(system, cars, progress).run(rounds, started))


class _Sitting:
    def __init__(self, system: System, cars: Sequence[Car], progress: Progress) -> None:
        self._system = system
        self._cars = cars
        self._vins = {car.imei: car.vin for car in cars}
        self._progress = progress
        self._ledger = Ledger()
        self._stop = asyncio.Event()

    async def run(self, rounds: Sequence[Round], started: float) -> SittingResult:
        port = self._system.settings.gateway_port
        trackers = make_trackers(self._cars, self._ledger, port, PAUSE_S, self._stop)
        drives = [asyncio.create_task(tracker.drive()) for tracker in trackers]
        try:
            await self._until(lambda: self._goes_on(0), "the system does not begin", _FIRST_PATIENCE_S)
            results = []
            for one in rounds:
                results.append(await self._round(one))
                self._progress(_line(results[-1]))
                _raise_failure(drives)
            self._stop.set()
            await self._finish(drives)
        finally:
            for drive in drives:
                drive.cancel()
        await self._until(self._off_loop(self._system.is_settled), "the consumers do not catch up")
        verdict, totals = await asyncio.to_thread(self._compare)
        return SittingResult(tuple(results), verdict, totals, round(time.monotonic() - started, 1))

    async def _finish(self, drives: Sequence[asyncio.Task[None]]) -> None:
        """Let every tracker bring its packet home."""
        _, unfinished = await asyncio.wait(drives, timeout=_PATIENCE_S)
        _raise_failure(drives)
        if unfinished:
            message = f"{len(unfinished)} trackers wait for an answer\n{self._system.last_words()}"
            raise CampaignError(message)

    async def _round(self, one: Round) -> RoundResult:
        for blows in range(1, _BLOWS + 1):
            await asyncio.sleep(one.delay_s)
            blow = await self._strike(one.victims)
            try:
                unstored, unsettled = await self._look(one.victims, blow)
            finally:
                self._system.release(blow.held)
            await self._until(
                lambda mark=blow.mark: self._goes_on(mark),
                f"{_names(one.victims)} died and the system did not go on",
            )
            recovered_s = round(time.monotonic() - blow.at, 2)
            lagging = await self._unsettled(unsettled, blow)
            if blow.unacknowledged and unstored and lagging != 0:
                return RoundResult(
                    one.number, one.victims, blow.unacknowledged, unstored, lagging, recovered_s, blows
                )
            self._progress(f"round {one.number}: nothing was in flight; once more")
        message = f"round {one.number}: nothing was in flight at {_BLOWS} blows"
        raise CampaignError(message)

    async def _strike(self, victims: Sequence[Victim]) -> _Blow:
        processes = await asyncio.to_thread(self._system.processes, victims)
        held = [] if {Victim.SINK, Victim.DATABASE}.intersection(victims) else [Victim.SINK]
        sink = await asyncio.to_thread(self._system.processes, held)
        if missing := [victim for victim, pids in processes.items() if not pids]:
            message = f"{_names(missing)} does not run\n{self._system.last_words(missing)}"
            raise CampaignError(message)
        await self._until(self._is_in_flight, "nothing is ever in flight", poll_s=0.001)
        # no await from here to the blow: the trackers live in this loop
        blow = _Blow(
            time.monotonic(),
            len(self._ledger.waiting),
            frozenset(list(self._ledger.newest)[-_LOOKED_AT:]),
            len(self._ledger.parcels),
            sink.get(Victim.SINK, []),
        )
        self._system.kill(processes)
        self._system.hold(blow.held)
        return blow

    async def _is_in_flight(self) -> bool:
        return bool(self._ledger.waiting and self._ledger.newest)

    async def _look(self, victims: Sequence[Victim], blow: _Blow) -> tuple[int, dict[int, int] | None]:
        """How many acknowledged records were not stored, and how far a killed live writer had come."""
        offsets = await self._answered(self._system.live_offsets) if Victim.LIVE in victims else None
        wanted = identities_of(blow.acknowledged)
        present = await self._answered(lambda: self._system.present(wanted))
        if Victim.DATABASE in victims:
            first = await self._answered(self._system.first_transaction_after_crash)
            return len(wanted) - sum(transaction < first for _, transaction in present.values()), offsets
        return len(wanted) - len(present), offsets

    async def _unsettled(self, offsets: dict[int, int] | None, blow: _Blow) -> int | None:
        """Acknowledged records beyond the live writer's offsets, once all of them have a place."""
        if offsets is None:
            return None
        wanted = identities_of(blow.acknowledged)
        found: dict[Identity, tuple[int, int]] = {}

        async def are_all_stored() -> bool:
            found.update(await asyncio.to_thread(self._system.present, wanted))
            return len(found) == len(wanted)

        await self._until(are_all_stored, "what was acknowledged before the blow is not stored")
        places = (place_of(position) for position, _ in found.values())
        return sum(offset >= offsets.get(partition, 0) for partition, offset in places)

    async def _goes_on(self, mark: int) -> bool:
        """Whether packets first sent after `mark` are acknowledged, stored and live, and ClickHouse is up."""
        fresh = [one for one in self._ledger.parcels[mark:] if one.is_acknowledged][:_FRESH]
        if len(fresh) < _FRESH:
            return False
        identities = identities_of(fresh)
        newest_ms: dict[str, int] = {}
        for identity in identities:
            newest_ms[identity.imei] = max(identity.time_ms, newest_ms.get(identity.imei, 0))
        for imei, time_ms in newest_ms.items():
            if await asyncio.to_thread(self._system.seen_ms, self._vins[imei]) < time_ms:
                return False
        present = await asyncio.to_thread(self._system.present, identities)
        return present.keys() == identities and await asyncio.to_thread(self._system.is_warehouse_up)

    @staticmethod
    def _off_loop(look: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
        return lambda: asyncio.to_thread(look)

    async def _answered(self, look: Callable[[], Result]) -> Result:
        """What a server says as soon as it says anything."""
        answers: list[Result] = []

        async def ask() -> bool:
            answers.append(await asyncio.to_thread(look))
            return True

        await self._until(ask, "a server does not answer")
        return answers[0]

    async def _until(
        self,
        condition: Callable[[], Awaitable[bool]],
        what: str,
        patience_s: float = _PATIENCE_S,
        poll_s: float = _POLL_S,
    ) -> None:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                if await condition():
                    return
            except OUTAGES:
                pass  # it is down or coming up
            if time.monotonic() > deadline:
                message = f"{what} within {patience_s:.0f} s\n{self._system.last_words()}"
                raise CampaignError(message)
            await asyncio.sleep(poll_s)

    def _compare(self) -> tuple[Verdict, Totals]:
        ledger = self._ledger
        truth = Truth(
            sent=identities_of(ledger.parcels),
            acknowledged=identities_of(one for one in ledger.parcels if one.is_acknowledged),
            newest={car.vin: car.newest for car in self._cars if car.newest is not None},
            alerts={one for car in self._cars for one in car.alerts},
        )
        stores = self._system.stores()
        totals = Totals(
            packets=len(ledger.parcels),
            resent=ledger.resent_count,
            forgotten=ledger.forgotten_count,
            sent=len(truth.sent),
            acknowledged=len(truth.acknowledged),
            rows=stores.rows.total(),
            unacknowledged_rows=len(stores.rows.keys() & (set(truth.sent) - set(truth.acknowledged))),
            alerts=len(truth.alerts),
            alert_repeats=self._system.unmerged_alerts() - stores.alerts.total(),
        )
        return judge(truth, stores), totals


def _raise_failure(drives: Sequence[asyncio.Task[None]]) -> None:
    """Raise what ended a tracker: an answer that must not be."""
    for drive in drives:
        if drive.done():
            drive.result()


def _names(victims: Sequence[Victim]) -> str:
    return " and ".join(victims)


def _line(result: RoundResult) -> str:
    lag = "" if result.unsettled is None else f", {result.unsettled} records not live"
    return (
        f"round {result.number}: {_names(result.victims)} killed with {result.unacknowledged} packets"
        f" unacknowledged and {result.unstored} acknowledged records not stored{lag};"
        f" whole again after {result.recovered_s:.1f} s"
    )
