"""The live writer on a real server, fed by hand."""

from collections.abc import Callable, Mapping, Sequence

import pytest
import redis
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from prometheus_client import CollectorRegistry

from ingest.alerts.memory import Encoded, Subject
from ingest.live.offsets import Move
from ingest.live.service import LiveWriter
from ingest.live.state import Offer
from ingest.live.store import LiveStore, LiveStoreUnavailableError, WriteResult
from ingest.stream.consumer import StreamRewindError
from ingest.stream.log_spans import LogSpan
from telematics.errors import UnavailableError
from telematics.names import LIVE_OFFSETS_KEY, live_key
from tests.ingest.live.conftest import PARTITION, TOPIC, Log, Loudspeaker, Registry
from tests.ingest.live.newest import newest
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    make_message,
)

pytestmark = pytest.mark.integration


def test_the_newest_of_a_batch_is_readable(
    writer: LiveWriter, client: redis.Redis, registry: Registry, fuel: Callable[[int, int], FakeMessage]
) -> None:
    writer.handle([fuel(60, NOON_MS + 1), fuel(50, NOON_MS), fuel(70, NOON_MS - 1)])
    assert newest(client, registry) == b"%d|60" % (NOON_MS + 1)


def test_what_does_not_decode_leaves_its_neighbours_alone(
    writer: LiveWriter,
    client: redis.Redis,
    registry: Registry,
    figures: CollectorRegistry,
    fuel: Callable[[int, int], FakeMessage],
) -> None:
    garbage = make_message(b"garbage", imei=registry.imei, partition=PARTITION)
    keyless = FakeMessage(TOPIC, PARTITION, 9, None, b"x", None)
    writer.handle([garbage, fuel(60, NOON_MS), keyless])
    assert newest(client, registry) == b"%d|60" % NOON_MS
    assert figures.get_sample_value("piston_live_undecodable_total") == 2
    assert figures.get_sample_value("piston_live_frames_total") == 3


def test_while_the_registry_is_down_known_devices_go_on(
    writer: LiveWriter, client: redis.Redis, registry: Registry, fuel: Callable[[int, int], FakeMessage]
) -> None:
    writer.handle([fuel(60, NOON_MS)])
    registry.is_down = True
    writer.handle([fuel(50, NOON_MS + 1)])
    assert newest(client, registry) == b"%d|50" % (NOON_MS + 1)


def test_while_the_registry_is_down_an_unknown_device_is_waited_for(
    writer: LiveWriter, registry: Registry, fuel: Callable[[int, int], FakeMessage]
) -> None:
    registry.is_down = True
    with pytest.raises(UnavailableError):
        writer.handle([fuel(60, NOON_MS)])


Codes = Callable[..., FakeMessage]
Make = Callable[..., LiveWriter]


class Faulty(LiveStore):
    """A store that dies before or after a step, as a process does that is killed there."""

    def __init__(self, client: redis.Redis, dies: str) -> None:
        super().__init__(client)
        self._dies = dies

    def write(
        self, vehicles: Mapping[str, Offer], known: Mapping[Subject, Encoded] | None = None
    ) -> WriteResult:
        self._die("before write")
        result = super().write(vehicles, known)
        self._die("after write")
        return result

    def commit(self, moves: Sequence[Move]) -> bool:
        answer = super().commit(moves)
        self._die("after commit")
        return answer

    def _die(self, where: str) -> None:
        if where == self._dies:
            raise LiveStoreUnavailableError(where)


@pytest.mark.parametrize("dies", ["before write", "after write", "after commit"])
def test_a_writer_that_dies_between_two_steps_loses_no_alert_and_doubles_no_id(
    make_writer: Make, client: redis.Redis, loudspeaker: Loudspeaker, codes: Codes, dies: str
) -> None:
    messages = [codes(0, "P0300"), codes(1, "P0300,P0171"), codes(2, "P0171"), codes(3, "")]
    with pytest.raises(LiveStoreUnavailableError):
        make_writer(Faulty(client, dies)).handle(messages[:2])
    successor = make_writer()
    successor.handle(messages)
    successor.handle(messages)
    assert set(loudspeaker.names()) == {
        "dtc_new P0300", "dtc_new P0171", "dtc_cleared P0300", "dtc_cleared P0171",
    }  # fmt: skip
    assert len({alert.alert_id for alert in loudspeaker.heard}) == 4


def test_what_was_settled_is_not_raised_again_by_a_successor(
    make_writer: Make, loudspeaker: Loudspeaker, codes: Codes
) -> None:
    make_writer().handle([codes(0, "P0300")])
    successor = make_writer()
    (placed,) = successor.assigned([TopicPartition(TOPIC, PARTITION)])
    assert placed.offset == 1
    successor.handle([codes(0, "P0300"), codes(1, "P0300"), codes(2, "P0420,P0300")])
    assert loudspeaker.names() == ["dtc_new P0300", "dtc_new P0420"]


def test_while_kafka_takes_no_alerts_nothing_moves(
    writer: LiveWriter, client: redis.Redis, registry: Registry, loudspeaker: Loudspeaker, codes: Codes
) -> None:
    loudspeaker.is_down = True
    for _ in range(2):
        with pytest.raises(UnavailableError):
            writer.handle([codes(0, "P0300")])
    assert client.hgetall(live_key(registry.vin)) == {}
    loudspeaker.is_down = False
    writer.handle([codes(0, "P0300")])
    assert loudspeaker.names() == ["dtc_new P0300"]


def test_late_data_raises_no_new_code(writer: LiveWriter, loudspeaker: Loudspeaker, codes: Codes) -> None:
    writer.handle([codes(0, "P0300", second=30)])
    writer.handle([codes(1, "P0171", second=10), codes(2, "", second=20)])
    assert loudspeaker.names() == ["dtc_new P0300"]


def test_a_redis_that_lost_its_last_writes_gets_them_again(
    make_writer: Make, client: redis.Redis, registry: Registry, loudspeaker: Loudspeaker, codes: Codes
) -> None:
    writer, field = make_writer(), f"{TOPIC}:{PARTITION}"
    messages = [codes(0, ""), codes(1, "P0300"), codes(2, "P0300"), codes(3, "")]
    writer.handle(messages[:1])
    keys = list(client.scan_iter(match=f"*{registry.vin}*"))
    before = {key: client.dump(key) for key in keys}, client.hget(LIVE_OFFSETS_KEY, field)
    writer.handle(messages[1:3])
    # back to what it was: as after a kill, with a file that was not synced yet
    for key, dump in before[0].items():
        client.restore(key, 0, dump, replace=True)
    client.hset(LIVE_OFFSETS_KEY, field, before[1])
    with pytest.raises(StreamRewindError) as rewind:
        writer.handle(messages[3:])
    places = {place.topic: (place.partition, place.offset) for place in rewind.value.partitions}
    assert places[TOPIC] == (PARTITION, 1)
    writer.handle(messages[1:])
    assert {alert.alert_id for alert in loudspeaker.heard} == {
        alert.alert_id for alert in loudspeaker.heard[:2]
    }
    assert set(loudspeaker.names()) == {"dtc_new P0300", "dtc_cleared P0300"}
    assert client.hget(live_key(registry.vin), "dtc_codes") == b"%d|[]" % (NOON_MS + 3000)


def test_a_writer_that_was_taken_over_turns_nothing_back(
    make_writer: Make, loudspeaker: Loudspeaker, codes: Codes
) -> None:
    zombie, successor = make_writer(), make_writer()
    successor.handle([codes(0, "P0300"), codes(1, ""), codes(2, "P0420")])
    with pytest.raises(StreamRewindError):
        zombie.handle([codes(0, "P0300")])
    third = make_writer()
    third.handle([codes(3, "P0420")])
    names = loudspeaker.names()
    assert names.count("dtc_new P0420") == 1
    assert len({alert.alert_id for alert in loudspeaker.heard}) == 3


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    make_writer: Make, client: redis.Redis, codes: Codes
) -> None:
    make_writer().handle([codes(0, "P0300")])
    client.hset(LIVE_OFFSETS_KEY, f"{TOPIC}:{PARTITION}", "another|7")
    (placed,) = make_writer().assigned([TopicPartition(TOPIC, PARTITION)])
    assert placed.offset == OFFSET_BEGINNING


def test_a_log_that_became_shorter_is_read_again_and_its_alerts_are_heard(
    make_writer: Make, kafka_log: Log, client: redis.Redis, loudspeaker: Loudspeaker, codes: Codes
) -> None:
    make_writer().handle([codes(500, "P0300", second=5)])
    kafka_log.span = LogSpan(0, 100)
    writer = make_writer()
    (placed,) = writer.assigned([TopicPartition(TOPIC, PARTITION)])
    assert placed.offset == OFFSET_BEGINNING
    kafka_log.span = LogSpan(0, 1000)
    writer.handle([codes(0, "P0300", second=4), codes(100, "P0300,P0420", second=6)])
    assert loudspeaker.names() == ["dtc_new P0300", "dtc_new P0420"]
    (placed,) = make_writer().assigned([TopicPartition(TOPIC, PARTITION)])
    assert placed.offset == 101


def test_a_batch_is_counted_by_size_and_age(
    writer: LiveWriter, figures: CollectorRegistry, codes: Codes
) -> None:
    messages = [codes(0, "P0300"), codes(1, "P0300")]
    writer.handle(messages)
    assert figures.get_sample_value("piston_live_batch_messages_sum") == 2
    assert figures.get_sample_value("piston_live_freshness_seconds_count") == 2
    assert figures.get_sample_value("piston_live_freshness_seconds_bucket", {"le": "600.0"}) == 0
    assert figures.get_sample_value("piston_live_freshness_seconds_bucket", {"le": "+Inf"}) == 2
    assert (figures.get_sample_value("piston_live_lag_seconds") or 0) > 600
