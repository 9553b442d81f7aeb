"""Dead letters sent again after a fix: their records land once, whoever dies when."""

import psycopg
import pytest

from ingest.dead_letters.models import Status
from ingest.dead_letters.repository import Selection, count, find, find_ids
from ingest.dead_letters.service import LetterResult, Outcome, drop, replay
from ingest.registry.repository import connect
from ingest.sink.decoding import PythonFrameDecoder, reject
from ingest.sink.service import Sink
from ingest.stream.messages import Headers
from telematics.errors import UnavailableError
from telematics.names import Topic
from telematics.settings import Settings
from tests.ingest.making import NOON_MS, FakeMessage, make_frame, make_message, make_record
from tests.ingest.sink.conftest import Bench, Vehicle

pytestmark = pytest.mark.integration


class Stream:
    """Kafka as replays see it: keeps what it took, also when the sender dies behind it."""

    def __init__(self, first_offset: int) -> None:
        self.messages: list[FakeMessage] = []
        self.dies: str | None = None
        self._next = first_offset

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        if self.dies == "before":
            raise UnavailableError(self.dies)
        self.messages.append(FakeMessage(topic, 0, self._next, key, value, headers))
        self._next += 1
        if self.dies == "behind":
            raise UnavailableError(self.dies)


class Broken(PythonFrameDecoder):
    """A decoder with a fault: it rejects every frame with two records."""

    def _decode_message(self, message, registry, batch) -> None:  # type: ignore[no-untyped-def]
        if (message.value() or b"")[9] == 2:
            batch.rejects.append(reject(message, "a_fault_of_ours", "two are too many"))
        else:
            super()._decode_message(message, registry, batch)


@pytest.fixture
def stream(bench: Bench) -> Stream:
    return Stream(bench.first_offset + 3)


@pytest.fixture
def letter_id(bench: Bench, vehicle: Vehicle) -> int:
    """A letter with two good records, which an earlier release did not take, in front of one that it took."""
    sink, _ = bench.sink(decoder=Broken())
    sink.handle(
        [
            make_message(
                make_frame(*(make_record(NOON_MS + second) for second in seconds)),
                imei=vehicle.imei,
                offset=bench.first_offset + number,
            )
            for number, seconds in enumerate([(0,), (1, 2), (3,)])
        ]
    )
    (letter,) = bench.dead_letters(vehicle.imei)
    return int(str(letter["dead_letter_id"]))


def again(bench: Bench, letter_id: int, stream: Stream) -> LetterResult:
    with connect(bench.settings, "test") as connection:
        connection.autocommit = True
        return replay(connection, letter_id, stream, "test")


def settle(sink: Sink, stream: Stream) -> None:
    sink.handle(stream.messages)  # type: ignore[arg-type]  # messages as a consumer delivers them


def test_a_replay_lands_the_records_once_and_is_written_down(
    bench: Bench, vehicle: Vehicle, stream: Stream, letter_id: int
) -> None:
    assert len(bench.rows(vehicle.imei)) == 2
    assert again(bench, letter_id, stream) == LetterResult(letter_id, Outcome.REPLAYED, "")
    assert again(bench, letter_id, stream).outcome is Outcome.NOT_OPEN
    settle(bench.sink()[0], stream)
    assert len(bench.rows(vehicle.imei)) == 4
    (letter,) = bench.dead_letters(vehicle.imei)
    assert letter["status"] == "replayed"
    (message,) = stream.messages
    assert (message.topic(), message.key()) == (Topic.AVL_FRAMES, vehicle.imei.encode())
    (event,) = bench.query(
        "select actor, action, detail from audit_events where subject = %s and action like 'dead%%'",
        str(letter_id),
    )
    assert (event["actor"], event["action"]) == ("test", "dead_letter.replay")
    assert event["detail"] == {
        "topic": Topic.AVL_FRAMES, "partition": 0, "offset": bench.first_offset + 1,
        "reason": "a_fault_of_ours", "records": 2,
    }  # fmt: skip


@pytest.mark.parametrize(("dies", "sent"), [("before", 1), ("behind", 2)])
def test_a_replay_that_dies_between_two_steps_and_comes_again_lands_the_records_once(
    bench: Bench, vehicle: Vehicle, stream: Stream, letter_id: int, dies: str, sent: int
) -> None:
    stream.dies = dies
    with pytest.raises(UnavailableError):
        again(bench, letter_id, stream)
    assert bench.dead_letters(vehicle.imei)[0]["status"] == "open"
    stream.dies = None
    assert again(bench, letter_id, stream).outcome is Outcome.REPLAYED
    assert len(stream.messages) == sent
    settle(bench.sink()[0], stream)
    assert len(bench.rows(vehicle.imei)) == 4
    assert len(bench.dead_letters(vehicle.imei)) == 1, "it does not park anew"


def test_what_would_be_rejected_again_stays_open_and_is_not_sent(
    bench: Bench, vehicle: Vehicle, stream: Stream
) -> None:
    sink, _ = bench.sink()
    sink.handle([make_message(b"\0" * 20, imei=vehicle.imei, offset=bench.first_offset)])
    (letter,) = bench.dead_letters(vehicle.imei)
    result = again(bench, int(str(letter["dead_letter_id"])), stream)
    assert result.outcome is Outcome.STILL_REJECTED
    assert result.reason
    assert stream.messages == []
    assert bench.dead_letters(vehicle.imei)[0]["status"] == "open"


def test_a_letter_that_somebody_has_in_hand_is_left_to_them(
    bench: Bench, stream: Stream, letter_id: int
) -> None:
    with psycopg.connect(bench.settings.timescale_dsn()) as other:
        other.execute("select 1 from dead_letters where dead_letter_id = %s for update", (letter_id,))
        assert again(bench, letter_id, stream).outcome is Outcome.NOT_OPEN
    assert again(bench, letter_id, stream).outcome is Outcome.REPLAYED


def test_a_dropped_letter_keeps_its_bytes_and_says_who_and_why(
    bench: Bench, vehicle: Vehicle, stream: Stream, letter_id: int
) -> None:
    with connect(bench.settings, "test") as connection:
        connection.autocommit = True
        assert drop(connection, letter_id, "a test rig", "test").outcome is Outcome.DROPPED
    (letter,) = bench.dead_letters(vehicle.imei)
    assert letter["status"] == "dropped"
    assert letter["message"]
    (event,) = bench.query(
        "select action, detail ->> 'because' as because from audit_events"
        " where subject = %s and action like 'dead%%'",
        str(letter_id),
    )
    assert event == {"action": "dead_letter.drop", "because": "a test rig"}
    assert again(bench, letter_id, stream).outcome is Outcome.NOT_OPEN


def test_letters_are_found_by_status_reason_and_device(
    stack: Settings, vehicle: Vehicle, letter_id: int
) -> None:
    mine = Selection(device_id=vehicle.imei)
    with connect(stack, "test") as connection:
        (letter,) = find(connection, mine, 5)
        assert (letter.dead_letter_id, letter.reason, letter.status) == (
            letter_id,
            "a_fault_of_ours",
            Status.OPEN,
        )
        assert find_ids(connection, Selection(reason="a_fault_of_ours", device_id=vehicle.imei)) == [
            letter_id
        ]
        assert find_ids(connection, Selection(reason="bad_crc", device_id=vehicle.imei)) == []
        assert count(connection, Selection(Status.DROPPED, device_id=vehicle.imei)) == 0
        assert find_ids(connection, Selection(None, ids=[letter_id, 0])) == [letter_id]
