"""Commands on the real database, several gateways at it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from ingest.codec8.records import CodecId
from ingest.commands import repository
from ingest.commands.answers import Answer
from ingest.commands.models import Command, CommandStatus, NewCommand
from ingest.commands.store import PostgresCommandStore, Turn
from ingest.registry.repository import Connection, list_devices
from telematics.errors import NotFoundError, UnavailableError
from telematics.names import KAFKA_PARTITIONS, Topic
from telematics.settings import Settings
from tests.ingest.services import free_port

pytestmark = pytest.mark.integration

MakeDevice = Callable[..., str]
MakeStore = Callable[..., PostgresCommandStore]


@pytest.fixture
def make_store(stack: Settings) -> Iterator[MakeStore]:
    with ExitStack() as opened:

        def make(**overrides: object) -> PostgresCommandStore:
            store = PostgresCommandStore(stack.model_copy(update=overrides))
            opened.callback(store.close)
            return store

        yield make


def queue(connection: Connection, imei: str, text: str = "getinfo", **overrides: object) -> Command:
    new = NewCommand(imei, text, "test", **overrides)  # type: ignore[arg-type]
    return Command(repository.enqueue(connection, new), imei, new.codec, text)


def status(connection: Connection, command: Command) -> CommandStatus:
    return repository.read_command(connection, command.command_id).status


def test_a_command_goes_from_queued_to_answered_once(connection, make_device, make_store):
    imei, store = make_device(), make_store()
    command = queue(connection, imei, codec=CodecId.CODEC_14)
    assert imei in store.exchange(Turn(arrived={imei})).pending
    outcome = store.exchange(Turn(ready={imei: "session"}))
    assert outcome.claimed == (("session", command),)
    assert status(connection, command) is CommandStatus.SENT
    turn = Turn(answers=[Answer(command, CommandStatus.ANSWERED, "fine")])
    store.exchange(turn)
    store.exchange(turn)
    read = repository.read_command(connection, command.command_id)
    assert (read.status, read.answer, read.attempts) == (CommandStatus.ANSWERED, "fine", 1)
    assert read.answered_at is not None
    assert store.exchange(Turn(ready={imei: "session"})).claimed == ()


def test_what_a_device_is_told_is_on_record_before_it_hears_it(stack, connection, make_device, make_store):
    imei, store = make_device(), make_store()
    command = queue(connection, imei, "setdigout 1")
    for attempt in (1, 2):
        assert store.exchange(Turn(ready={imei: "session"})).claimed == (("session", command),)
        *_, told = sendings(stack, imei, attempt)
        assert (told["command_id"], told["device_id"]) == (str(command.command_id), imei)
        assert (told["command"], told["codec"], told["attempt"]) == ("setdigout 1", "12", attempt)
        assert told["created_at"] < told["sent_at"] < told["expires_at"]
        store.exchange(Turn(lost={"session"}))


def test_without_kafka_nothing_is_sent_and_answers_are_kept_all_the_same(
    stack, connection, make_device, make_store
):
    imei, other = make_device(), make_device()
    first, second = queue(connection, imei), queue(connection, other)
    nowhere = stack.model_copy(update={"kafka_servers": f"127.0.0.1:{free_port()}"})
    store = PostgresCommandStore(nowhere, delivery_s=0.5)
    assert make_store().exchange(Turn(ready={imei: "session"})).claimed == (("session", first),)
    turn = Turn(answers=[Answer(first, CommandStatus.ANSWERED, "fine")], ready={other: "session"})
    with pytest.raises(UnavailableError, match="UndeliveredError"):
        store.exchange(turn)
    assert status(connection, first) is CommandStatus.ANSWERED
    read = repository.read_command(connection, second.command_id)
    assert (read.status, read.attempts) == (CommandStatus.QUEUED, 0)
    assert store.exchange(Turn()).is_fresh, "it has to ask for everything again"
    store.close()


def sendings(settings: Settings, imei: str, count: int) -> list[dict[str, Any]]:
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": f"test.{imei}"})
    with closing(consumer):
        consumer.assign([TopicPartition(Topic.COMMANDS, number, 0) for number in range(KAFKA_PARTITIONS)])
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 20
        while len(found) < count and time.monotonic() < deadline:
            found += [
                json.loads(message.value() or b"")
                for message in consumer.consume(100, 0.2)
                if message.key() == imei.encode()
            ]
        assert len(found) == count
        return found


def test_a_gateway_hears_of_a_command_that_somebody_queues(connection, make_device, make_store):
    imei, store = make_device(), make_store()
    assert store.exchange(Turn()).is_fresh
    queue(connection, imei)
    outcome = store.exchange(Turn())
    assert imei in outcome.pending
    assert not outcome.is_fresh


def test_two_gateways_never_have_a_command_of_one_device_out_at_once(connection, make_device, make_store):
    imei, one, other = make_device(), make_store(), make_store()
    first, second = queue(connection, imei, "first"), queue(connection, imei, "second")
    assert one.exchange(Turn(ready={imei: "one"})).claimed == (("one", first),)
    assert other.exchange(Turn(ready={imei: "other"})).claimed == ()
    other.exchange(Turn())
    one.exchange(Turn(answers=[Answer(first, CommandStatus.ANSWERED, "")]))
    assert imei in other.exchange(Turn()).pending, "the end of one lets the other gateway look again"
    assert other.exchange(Turn(ready={imei: "other"})).claimed == (("other", second),)


def test_claims_at_the_same_moment_leave_one_winner(stack, connection, make_device, make_store):
    imei = make_device()
    queue(connection, imei, "first")
    queue(connection, imei, "second")
    with repository.psycopg.connect(stack.timescale_dsn()) as rival:
        won = repository.claim(rival, [(imei, "rival")])  # not committed yet
        assert make_store().exchange(Turn(ready={imei: "late"})).claimed == ()
        rival.commit()
    assert [owner for owner, _ in won] == ["rival"]
    assert make_store().exchange(Turn(ready={imei: "late"})).claimed == ()


def test_what_a_lost_session_had_out_is_queued_again_three_times_at_most(connection, make_device, make_store):
    imei, store = make_device(), make_store()
    command = queue(connection, imei, "cpureset")
    for attempt in ("a", "b", "c"):
        assert store.exchange(Turn(ready={imei: attempt})).claimed == ((attempt, command),)
        assert store.exchange(Turn(lost={attempt})).claimed == ()
    read = repository.read_command(connection, command.command_id)
    assert (read.status, read.answer) == (CommandStatus.FAILED, "sent 3 times, never answered")


def test_a_late_answer_counts_all_the_same(connection, make_device, make_store):
    imei, store = make_device(), make_store()
    command = queue(connection, imei)
    store.exchange(Turn(ready={imei: "a"}))
    store.exchange(Turn(lost={"a"}))
    store.exchange(Turn(answers=[Answer(command, CommandStatus.ANSWERED, "late")]))
    assert status(connection, command) is CommandStatus.ANSWERED
    assert store.exchange(Turn(ready={imei: "b"})).claimed == ()


def test_what_was_never_written_is_no_attempt(connection, make_device, make_store):
    imei, store = make_device(), make_store()
    command = queue(connection, imei)
    store.exchange(Turn(ready={imei: "a"}))
    store.exchange(Turn(unwritten={command.command_id: "a"}))
    read = repository.read_command(connection, command.command_id)
    assert (read.status, read.attempts) == (CommandStatus.QUEUED, 0)


def test_what_another_session_has_sent_meanwhile_is_not_taken_back(connection, make_device, make_store):
    imei, late, other = make_device(), make_store(), make_store(command_answer_timeout_s=0.0)
    command = queue(connection, imei)
    late.exchange(Turn(ready={imei: "late"}))
    other.exchange(Turn(is_sweep=True))
    assert other.exchange(Turn(ready={imei: "other"})).claimed == (("other", command),)
    late.exchange(Turn(unwritten={command.command_id: "late"}))
    read = repository.read_command(connection, command.command_id)
    assert (read.status, read.attempts) == (CommandStatus.SENT, 2)


def test_a_gateway_that_was_killed_leaves_its_command_to_the_others(connection, make_device, make_store):
    imei = make_device()
    killed, other = make_store(), make_store(command_answer_timeout_s=0.0)
    command = queue(connection, imei)
    killed.exchange(Turn(ready={imei: "killed"}))
    other.exchange(Turn(is_sweep=True))
    assert other.exchange(Turn(ready={imei: "other"})).claimed == (("other", command),)


def test_an_expired_command_is_never_sent(connection, make_device, make_store):
    imei, store = make_device(), make_store(command_answer_timeout_s=0.0)
    command, sent = queue(connection, imei), queue(connection, make_device())
    store.exchange(Turn(ready={sent.imei: "a"}))
    connection.execute(
        "update device_commands set created_at = now() - interval '2 h', expires_at = now() - interval '1 h'"
        " where command_id = any(%s)",
        ([command.command_id, sent.command_id],),
    )
    assert status(connection, command) is CommandStatus.EXPIRED, "shown before anybody swept"
    assert store.exchange(Turn(arrived={imei}, ready={imei: "b"})).claimed == ()
    store.exchange(Turn(is_sweep=True))
    stored = connection.execute(
        "select distinct status from device_commands where command_id = any(%s)",
        ([command.command_id, sent.command_id],),
    ).fetchall()
    assert stored == [("expired",)]


def test_a_new_live_device_is_asked_once_what_it_is_and_its_answer_kept(connection, make_device, make_store):
    imei, simulated, store = make_device(is_live=True), make_device(), make_store()
    assert imei in store.exchange(Turn(arrived={imei, simulated})).pending
    ((_, command),) = store.exchange(Turn(ready={imei: "a", simulated: "b"})).claimed
    assert (command.imei, command.text) == (imei, "getver")
    answer = "Ver:03.27.07_00 GPS:AXN Hw:FMC130 Mod:13 IMEI:0"
    store.exchange(Turn(answers=[Answer(command, CommandStatus.ANSWERED, answer)]))
    assert store.exchange(Turn(arrived={imei})).pending.isdisjoint({imei})
    row = connection.execute(
        "select model, firmware, identified_at is not null from devices where imei = %s", (imei,)
    ).fetchone()
    assert row == ("FMC130", "03.27.07_00", True)
    assert any(device.imei == imei for device in list_devices(connection))


def test_nobody_is_asked_when_the_setting_says_no(make_device, make_store):
    imei = make_device(is_live=True)
    assert make_store(ask_version=False).exchange(Turn(arrived={imei})).pending == frozenset()


def test_commands_for_unknown_or_retired_devices_are_refused(connection, make_device):
    with pytest.raises(NotFoundError, match="piston device list"):
        queue(connection, "356000000000000")
    imei = make_device()
    connection.execute("update devices set status = 'retired' where imei = %s", (imei,))
    with pytest.raises(NotFoundError):
        queue(connection, imei)


def test_lists_are_newest_first_and_may_leave_out_what_is_over(connection, make_device, make_store):
    imei, store = make_device(), make_store()
    first, second = queue(connection, imei, "first"), queue(connection, imei, "second")
    store.exchange(Turn(ready={imei: "a"}))
    store.exchange(Turn(answers=[Answer(first, CommandStatus.ANSWERED, "")]))
    listed = repository.list_commands(connection, imei)
    assert [read.command_id for read in listed] == [second.command_id, first.command_id]
    (waiting,) = repository.list_commands(connection, imei, only_open=True)
    assert waiting.command_id == second.command_id


def test_a_database_that_went_away_is_one_error_and_the_next_turn_connects_anew(
    stack, connection, make_device, make_store
):
    imei, store = make_device(), make_store()
    store.exchange(Turn())
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'piston-gateway-commands'"
    )
    command = queue(connection, imei)
    turn = Turn(arrived={imei}, ready={imei: "a"})
    with pytest.raises(UnavailableError):
        store.exchange(turn)
    outcome = store.exchange(turn)
    assert outcome.is_fresh
    assert outcome.claimed == (("a", command),)
    nobody = PostgresCommandStore(stack.model_copy(update={"timescale_port": 1}))
    with pytest.raises(UnavailableError):
        nobody.exchange(Turn())
