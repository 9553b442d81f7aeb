import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from ingest.codec8.records import CodecId
from ingest.commands.answers import Answer
from ingest.commands.dispatcher import CommandDispatcher
from ingest.commands.models import Command, CommandStatus
from ingest.commands.store import Outcome, Turn
from telematics.errors import UnavailableError

IMEI = "356307042441013"


@dataclass(eq=False)
class FakeSession:
    owner: str = "gateway/1"
    imei: str = IMEI
    is_quiet: bool = True
    is_open: bool = True
    sent: list[Command] = field(default_factory=list)

    def is_ready(self, quiet_s: float) -> bool:
        return self.is_quiet and not self.sent

    def send_command(self, command: Command) -> bool:
        if self.is_open:
            self.sent.append(command)
        return self.is_open

    def yield_to_newer(self) -> None:
        pass


class ScriptedStore:
    """Plays the outcomes it was given, then empty ones; None is a database that is down."""

    def __init__(self, *outcomes: Outcome | None) -> None:
        self.turns: list[Turn] = []
        self._outcomes = list(outcomes)

    def exchange(self, turn: Turn) -> Outcome:
        self.turns.append(turn)
        outcome = self._outcomes.pop(0) if self._outcomes else Outcome()
        if outcome is None:
            message = "down"
            raise UnavailableError(message)
        return outcome

    def close(self) -> None:
        pass


def command() -> Command:
    return Command(uuid4(), IMEI, CodecId.CODEC_12, "getinfo")


async def turns_of(dispatcher: CommandDispatcher, count: int) -> None:
    for _ in range(count):
        await dispatcher._take_turn()
    await dispatcher.close(1.0)


async def test_a_login_is_asked_about_and_what_waits_is_claimed_when_the_session_is_quiet():
    asked, session = command(), FakeSession(is_quiet=False)
    store = ScriptedStore(
        Outcome(pending=frozenset({IMEI})), Outcome(), Outcome(claimed=(("gateway/1", asked),))
    )
    dispatcher = CommandDispatcher(store)
    dispatcher.enter(session)
    await dispatcher._take_turn()
    await dispatcher._take_turn()
    session.is_quiet = True
    await turns_of(dispatcher, 1)
    assert [turn.arrived for turn in store.turns] == [{IMEI}, set(), set()]
    assert [turn.ready for turn in store.turns] == [{}, {}, {IMEI: "gateway/1"}]
    assert session.sent == [asked]


async def test_a_claim_that_another_gateway_won_is_looked_at_again_once():
    store = ScriptedStore(Outcome(pending=frozenset({IMEI})))
    dispatcher = CommandDispatcher(store)
    dispatcher.enter(FakeSession())
    await turns_of(dispatcher, 4)
    assert [turn.ready for turn in store.turns] == [{}, {IMEI: "gateway/1"}, {}, {}]
    assert [turn.arrived for turn in store.turns] == [{IMEI}, set(), {IMEI}, set()]


async def test_notifications_for_devices_of_other_gateways_are_nobodys_business():
    store = ScriptedStore(Outcome(pending=frozenset({"350000000000000"})))
    dispatcher = CommandDispatcher(store)
    dispatcher.enter(FakeSession())
    await turns_of(dispatcher, 2)
    assert store.turns[1].ready == {}


async def test_a_fresh_connection_asks_about_every_session_again():
    store = ScriptedStore(Outcome(), Outcome(is_fresh=True))
    dispatcher = CommandDispatcher(store)
    dispatcher.enter(FakeSession())
    await turns_of(dispatcher, 3)
    assert [turn.arrived for turn in store.turns] == [{IMEI}, set(), {IMEI}]


async def test_what_a_session_cannot_take_any_more_goes_back():
    asked, also_asked = command(), command()
    store = ScriptedStore(Outcome(claimed=(("gateway/1", asked), ("gone/9", also_asked))))
    dispatcher = CommandDispatcher(store)
    dispatcher.enter(FakeSession(is_open=False))
    await turns_of(dispatcher, 2)
    assert store.turns[1].unwritten == {asked.command_id: "gateway/1", also_asked.command_id: "gone/9"}


async def test_a_turn_that_failed_is_played_again_with_what_came_since():
    answer = Answer(command(), CommandStatus.ANSWERED, "fine")
    store = ScriptedStore(Outcome(), None)
    dispatcher = CommandDispatcher(store)
    session, other = FakeSession(), FakeSession("gateway/2", "356307042441021")
    dispatcher.enter(session)
    await dispatcher._take_turn()
    dispatcher.answered(answer)
    dispatcher.leave(session, command(), None)
    await dispatcher._take_turn()
    dispatcher.enter(other)
    await turns_of(dispatcher, 1)
    last = store.turns[-1]
    assert (last.answers, last.lost, last.arrived) == ([answer], {"gateway/1"}, {other.imei})


async def test_closing_tells_what_is_still_to_be_told_and_waits_for_nobody():
    class StuckStore(ScriptedStore):
        def exchange(self, turn: Turn) -> Outcome:
            raise UnavailableError(str(len(turn.lost)))

    for store in (ScriptedStore(), StuckStore()):
        dispatcher = CommandDispatcher(store)
        session = FakeSession()
        dispatcher.enter(session)
        dispatcher.leave(session, command(), None)
        async with asyncio.timeout(2):
            await dispatcher.close(0.2)
        told: Sequence[Turn] = store.turns
        assert all(turn.lost == {"gateway/1"} for turn in told)


async def test_leaving_twice_harms_nobody():
    dispatcher = CommandDispatcher(ScriptedStore())
    session = FakeSession()
    dispatcher.enter(session)
    dispatcher.leave(session, None, None)
    dispatcher.leave(session, None, None)
    assert dispatcher.sessions(IMEI) == ()
    await dispatcher.close(0.1)
