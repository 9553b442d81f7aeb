"""The live writer on a real server, fed by hand."""

from collections.abc import Callable, Collection, Iterator

import pytest
import redis
from prometheus_client import CollectorRegistry

from ingest.codec8.records import IoElement
from ingest.live.metrics import LiveMetrics
from ingest.live.service import LiveWriter
from ingest.live.store import LiveStore, connect
from ingest.registry.timeline import InstallationTimeline
from ingest.registry_cache import RegistryCache
from telematics.errors import UnavailableError
from telematics.names import live_key
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

pytestmark = pytest.mark.integration


class Registry:
    """One installed device, until it goes down."""

    def __init__(self) -> None:
        self.imei, self.vin = fresh_imei(), fresh_vin()
        self.is_down = False

    def load(self, imeis: Collection[str]) -> InstallationTimeline:
        if self.is_down:
            message = "down"
            raise UnavailableError(message)
        return make_registry(make_installation(self.imei, vin=self.vin), family="F")


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


@pytest.fixture
def writer(client: redis.Redis, registry: Registry, figures: CollectorRegistry) -> LiveWriter:
    return LiveWriter(LiveStore(client), RegistryCache(registry.load, 0.0), LiveMetrics(figures))


@pytest.fixture
def fuel(registry: Registry) -> Callable[[int, int], FakeMessage]:
    def message(level: int, time_ms: int) -> FakeMessage:
        return make_message(make_frame(make_record(time_ms, [IoElement(48, 1, level)])), imei=registry.imei)

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
    garbage = make_message(b"garbage", imei=registry.imei)
    keyless = FakeMessage("telemetry.avl_frames.v1", 0, 0, None, b"x", None)
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
