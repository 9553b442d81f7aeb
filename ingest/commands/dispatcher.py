"""Brings queued commands to the sessions of one gateway, and their answers back to the database.

STRATEGY: everything about sessions happens in the event loop; everything about the database happens in one
thread, in turns (`store.CommandStore`), a few a second. A command is claimed only when a session of its
device could write it now: logged in, nothing unacknowledged, silent for `quiet_s` (a device that empties its
memory sends its next packet at once), no other command out. A device that is never silent gets its command
between two packets, `_PATIENCE_S` after it was seen.

What a crash can do: a claimed command that was never written, or whose answer was lost with us, stays `sent`
until its time for an answer is over; then whichever gateway sweeps next queues it again. So a command may
reach a device more than once, at most `MAX_ATTEMPTS` times, and an answer is never invented.

When the database is down, sessions go on; what they have to say waits here, bounded.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol

import structlog

from ingest.commands.answers import Answer
from ingest.commands.models import Command
from ingest.commands.store import CommandStore, Outcome, Turn
from telematics.errors import UnavailableError

log = structlog.get_logger()

_SWEEP_S: Final = 5.0
_PATIENCE_S: Final = 30.0
_RETRY_S: Final = 1.0
_MAX_KEPT_ANSWERS: Final = 10_000


class CommandSession(Protocol):
    """A device's session as commands see it."""

    @property
    def imei(self) -> str:
        """Whose it is."""

    @property
    def owner(self) -> str:
        """Its name, unique among all sessions of all gateways."""

    def is_ready(self, quiet_s: float) -> bool:
        """Whether a command could be written now, after a silence of this many seconds."""

    def send_command(self, command: Command) -> bool:
        """Take a command and write it between two packets; False if the session cannot any more."""

    def yield_to_newer(self) -> None:
        """The device has logged in anew: end if this session is of no use to it."""


class CommandDispatcher:
    """The commands of one gateway. `run` it in the gateway's loop."""

    def __init__(self, store: CommandStore, quiet_s: float = 1.0, tick_s: float = 0.25) -> None:
        """A dispatcher.

        Args:
            store: the database side.
            quiet_s: silence of a device before it gets a command, in seconds.
            tick_s: time between two turns, in seconds.
        """
        self._store = store
        self._quiet_s = quiet_s
        self._tick_s = tick_s
        self._sessions: dict[str, list[CommandSession]] = {}
        self._owners: dict[str, CommandSession] = {}
        self._pending: dict[str, float] = {}
        self._next = Turn()
        self._swept_at = 0.0
        self._is_down = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="commands")

    def enter(self, session: CommandSession) -> None:
        """A device logged in."""
        self._sessions.setdefault(session.imei, []).append(session)
        self._owners[session.owner] = session
        self._next.arrived.add(session.imei)

    def leave(self, session: CommandSession, outstanding: Command | None, waiting: Command | None) -> None:
        """A session ended.

        Args:
            session: the one.
            outstanding: written, and its answer was not heard.
            waiting: taken, and not written.
        """
        if self._owners.pop(session.owner, None) is None:
            return
        sessions = self._sessions[session.imei]
        sessions.remove(session)
        if not sessions:
            del self._sessions[session.imei]
            self._pending.pop(session.imei, None)
        if outstanding is not None:
            self._next.lost.add(session.owner)
        if waiting is not None:
            self._next.unwritten[waiting.command_id] = session.owner

    def sessions(self, imei: str) -> Sequence[CommandSession]:
        """The sessions of a device, oldest first."""
        return tuple(self._sessions.get(imei, ()))

    def answered(self, answer: Answer) -> None:
        """A command ended in a session."""
        if len(self._next.answers) < _MAX_KEPT_ANSWERS:
            self._next.answers.append(answer)

    async def run(self) -> None:
        """Take turns until cancelled."""
        while True:
            await asyncio.sleep(_RETRY_S if self._is_down else self._tick_s)
            await self._take_turn()

    async def close(self, timeout_s: float) -> None:
        """Tell the database what is still to be told, at most for `timeout_s`, and let go of it."""
        turn = self._next
        if turn.answers or turn.lost or turn.unwritten:
            with suppress(TimeoutError, UnavailableError):
                async with asyncio.timeout(timeout_s):
                    await self._exchange(turn)
        self._executor.submit(self._store.close)
        self._executor.shutdown(wait=False)

    async def _take_turn(self) -> None:
        now = asyncio.get_running_loop().time()
        turn, self._next = self._next, Turn()
        turn.ready = self._choose(now)
        turn.is_sweep = now - self._swept_at >= _SWEEP_S
        try:
            outcome = await self._exchange(turn)
        except UnavailableError as error:
            if not self._is_down:
                log.warning("commands.unavailable", detail=str(error))
            self._is_down = True
            self._keep(turn)
            return
        self._is_down = False
        if turn.is_sweep:
            self._swept_at = now
        self._apply(turn, outcome, now)

    async def _exchange(self, turn: Turn) -> Outcome:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._store.exchange, turn)

    def _choose(self, now: float) -> dict[str, str]:
        ready = {}
        for imei, since in self._pending.items():
            quiet_s = self._quiet_s if now - since < _PATIENCE_S else 0.0
            session = self._ready_session(self._sessions.get(imei, ()), quiet_s)
            if session is not None:
                ready[imei] = session.owner
        return ready

    @staticmethod
    def _ready_session(sessions: Sequence[CommandSession], quiet_s: float) -> CommandSession | None:
        # Of two sessions of one device the younger is the likelier to be alive.
        return next((session for session in reversed(sessions) if session.is_ready(quiet_s)), None)

    def _apply(self, turn: Turn, outcome: Outcome, now: float) -> None:
        claimed = {command.imei for _, command in outcome.claimed}
        for imei in turn.ready.keys() - claimed:
            # Nothing waits any more, or another gateway was faster: look again before forgetting it.
            self._pending.pop(imei, None)
            if imei in self._sessions:
                self._next.arrived.add(imei)
        for imei in outcome.pending:
            if imei in self._sessions:
                self._pending.setdefault(imei, now)
        for owner, command in outcome.claimed:
            session = self._owners.get(owner)
            if session is None or not session.send_command(command):
                self._next.unwritten[command.command_id] = owner
        if outcome.is_fresh:
            self._next.arrived.update(self._sessions)

    def _keep(self, turn: Turn) -> None:
        """Play it again: nothing of it is known to have happened."""
        self._next.arrived |= turn.arrived
        self._next.lost |= turn.lost
        self._next.unwritten = turn.unwritten | self._next.unwritten
        self._next.answers = (turn.answers + self._next.answers)[:_MAX_KEPT_ANSWERS]
