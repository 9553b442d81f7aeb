"""The live writer on a real server, fed by hand."""

import itertools
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import pytest
import redis
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from prometheus_client import CollectorRegistry

from ingest.alerts.alert import Alert
from ingest.alerts.memory import Encoded, Subject
from ingest.alerts.publisher import AlertsUndeliveredError
from ingest.codec8.records import IoElement
from ingest.live.compiled_reader import CompiledReader
from ingest.live.metrics import LiveMetrics
from ingest.live.offsets import LogSpan, Move, Partition
from ingest.live.reading import BatchReader, ReferenceReader
from ingest.live.service import LiveWriter
from ingest.live.state import Offer
from ingest.live.store import LiveStore, LiveStoreUnavailableError, WriteResult, connect
from ingest.registry.timeline import InstallationTimeline
from ingest.registry_cache import RegistryCache
from ingest.stream.consumer import StreamRewindError
from ingest.stream.identity import StreamIdentity
from telematics.errors import UnavailableError
from telematics.names import LIVE_OFFSETS_KEY, Origin, Topic, live_key
from telematics.settings import Settings
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    fresh_imei,
    fresh_vin,
    make_frame,
    make_installation,
    make_message,
    make_reading_message,
    make_record,
    make_registry,
)

pytestmark = pytest.mark.integration

TOPIC = Topic.AVL_FRAMES.value
TOPICS = (TOPIC, Topic.READINGS.value)
PARTITION = 400
"""No Kafka has it here: a live process on the same servers leaves its offsets alone."""


class Registry:
    """One installed device, until it goes down."""

    def __init__(self) -> None:
        self.imei, self.vin = fresh_imei(), fresh_vin()
        self.is_down = False

    def load(self, imeis: Collection[str]) -> InstallationTimeline:
        if self.is_down:
            message = "down"
            raise UnavailableError(message)
        return make_registry(make_installation(self.imei, vin=self.vin), family="OBD")

    def origins(self, vins: Collection[str]) -> dict[str, Origin]:
        return {self.vin: Origin.LIVE} if self.vin in vins else {}


@pytest.fixture
def client(stack: Settings) -> Iterator[redis.Redis]:
    client = connect(stack)
    yield client
    client.close()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def figures() -> CollectorRegistry:
    return CollectorRegistry()


class Loudspeaker:
    """Takes alerts, until Kafka goes down."""

    def __init__(self) -> None:
        self.heard: list[Alert] = []
        self.is_down = False

    def publish(self, alerts: Sequence[Alert]) -> None:
        if self.is_down and alerts:
            message = "down"
            raise AlertsUndeliveredError(message)
        self.heard += alerts

    def names(self) -> list[str]:
        return [f"{alert.kind} {alert.code}" for alert in self.heard]


@pytest.fixture
def loudspeaker() -> Loudspeaker:
    return Loudspeaker()


@pytest.fixture
def topic_id() -> str:
    """A topic of this test alone: its offsets begin at 0."""
    return secrets.token_hex(8)


class Log:
    """What Kafka's log of the partition holds."""

    def __init__(self) -> None:
        self.span = LogSpan(0, 10**9)

    def read(self, partitions: Collection[Partition]) -> dict[Partition, LogSpan]:
        return dict.fromkeys(partitions, self.span)


@pytest.fixture
def kafka_log() -> Log:
    return Log()


@pytest.fixture(params=[CompiledReader, ReferenceReader])
def reader(request: pytest.FixtureRequest) -> Callable[..., BatchReader]:
    make: Callable[..., BatchReader] = request.param
    return make


@pytest.fixture
def make_writer(
    client: redis.Redis,
    registry: Registry,
    loudspeaker: Loudspeaker,
    topic_id: str,
    reader: Callable[..., BatchReader],
    kafka_log: Log,
) -> Callable[..., LiveWriter]:
    """A live writer that has been assigned partition 0; another one takes over from it."""

    def make(store: LiveStore | None = None, figures: CollectorRegistry | None = None) -> LiveWriter:
        store = store or LiveStore(client)
        writer = LiveWriter(
            store,
            reader(store.recall, registry.origins),
            RegistryCache(registry.load, 0.0),
            loudspeaker,
            lambda: StreamIdentity("cluster-1", {TOPIC: topic_id, Topic.READINGS.value: topic_id}),
            kafka_log.read,
            LiveMetrics(figures or CollectorRegistry()),
        )
        writer.assigned([TopicPartition(topic, PARTITION) for topic in TOPICS])
        return writer

    client.hdel(LIVE_OFFSETS_KEY, *(f"{topic}:{PARTITION}" for topic in TOPICS))
    return make


@pytest.fixture
def writer(make_writer: Callable[..., LiveWriter], figures: CollectorRegistry) -> LiveWriter:
    return make_writer(figures=figures)


@pytest.fixture
def codes(registry: Registry) -> Callable[[int, str], FakeMessage]:
    """Message number `offset`, a second later than the one before, with trouble codes."""

    def message(offset: int, text: str, second: int | None = None) -> FakeMessage:
        time_ms = NOON_MS + 1000 * (offset if second is None else second)
        frame = make_frame(make_record(time_ms, [IoElement(281, 0, text.encode())]))
        return make_message(
            frame, imei=registry.imei, offset=offset, partition=PARTITION, received_at_ms=NOON_MS + 60_000
        )

    return message


@pytest.fixture
def fuel(registry: Registry) -> Callable[[int, int], FakeMessage]:
    offsets = itertools.count()

    def message(level: int, time_ms: int) -> FakeMessage:
        frame = make_frame(make_record(time_ms, [IoElement(48, 1, level)]))
        return make_message(frame, imei=registry.imei, offset=next(offsets), partition=PARTITION)

    return message


def newest(client: redis.Redis, registry: Registry) -> object:
    return client.hget(live_key(registry.vin), "fuel_pct")


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


def reading(registry: Registry, offset: int, second: int, key: str, **fields: object) -> FakeMessage:
    return make_reading_message(
        {"timestamp": f"2025-03-14T12:00:{second:02d}Z", **fields},
        key=key.encode(),
        vin=registry.vin,
        offset=offset,
        partition=PARTITION,
        received_at_ms=NOON_MS + 60_000,
    )


def test_readings_and_frames_move_one_state_by_their_time(
    writer: LiveWriter,
    client: redis.Redis,
    registry: Registry,
    figures: CollectorRegistry,
    fuel: Callable[[int, int], FakeMessage],
) -> None:
    late = reading(registry, 0, 1, registry.imei, fuel_pct=90)
    newest_one = reading(registry, 1, 3, "partner:dealer", fuel_pct=40)
    writer.handle([fuel(60, NOON_MS + 2000), late])
    assert newest(client, registry) == b"%d|60" % (NOON_MS + 2000)
    writer.handle([newest_one, fuel(50, NOON_MS)])
    assert newest(client, registry) == b"%d|40.0" % (NOON_MS + 3000)
    assert figures.get_sample_value("piston_live_records_total") == 4
    assert figures.get_sample_value("piston_live_freshness_seconds_count") == 4


def test_readings_raise_alerts_once_each_by_what_their_sender_said_before(
    make_writer: Make, loudspeaker: Loudspeaker, registry: Registry
) -> None:
    messages = [
        reading(registry, 0, 1, "partner:dealer", dtc_codes=["P0300"]),
        reading(registry, 1, 2, "partner:dealer", dtc_codes=["P0300", "P0171"]),
        reading(registry, 2, 3, registry.imei, dtc_codes=["P0300"]),
    ]
    make_writer().handle(messages[:1])
    successor = make_writer()
    successor.handle(messages)
    successor.handle(messages)
    assert loudspeaker.names() == ["dtc_new P0300", "dtc_new P0171", "dtc_new P0300"]
    assert [alert.device_id for alert in loudspeaker.heard] == ["partner:dealer"] * 2 + [registry.imei]


def test_a_partners_reading_of_a_vehicle_that_is_not_registered_moves_nothing(
    writer: LiveWriter, client: redis.Redis, registry: Registry
) -> None:
    stranger = fresh_vin()
    message = make_reading_message(key=b"partner:dealer", vin=stranger, partition=PARTITION)
    writer.handle([message, make_reading_message(value=b"{}", offset=1, partition=PARTITION)])
    assert client.exists(live_key(stranger)) == 0


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
