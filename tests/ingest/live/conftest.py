"""A live writer on a real server, and what its tests feed it with."""

import itertools
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence

import pytest
import redis
from confluent_kafka import TopicPartition
from prometheus_client import CollectorRegistry

from ingest.alerts.alert import Alert
from ingest.alerts.publisher import AlertsUndeliveredError
from ingest.codec8.records import IoElement
from ingest.live.compiled_reader import CompiledReader
from ingest.live.metrics import LiveMetrics
from ingest.live.reading import BatchReader, ReferenceReader
from ingest.live.service import LiveWriter
from ingest.live.store import LiveStore, connect
from ingest.registry.timeline import InstallationTimeline
from ingest.registry_cache import RegistryCache
from ingest.stream.identity import StreamIdentity
from ingest.stream.log_spans import LogSpan, Partition
from telematics.errors import UnavailableError
from telematics.names import LIVE_OFFSETS_KEY, Origin, Topic
from telematics.settings import Settings
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    fresh_imei,
    fresh_vin,
    make_frame,
    make_installation,
    make_message,
    make_record,
    make_registry,
)

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
