"""A sink on the session's TimescaleDB, fed by hand, and short ways to look at what it stored."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from confluent_kafka import TopicPartition
from prometheus_client import CollectorRegistry
from psycopg.rows import dict_row

from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import add_device, connect
from ingest.sink.batch_decoding import BatchFrameDecoder
from ingest.sink.decoding import FrameDecoder
from ingest.sink.metrics import SinkMetrics
from ingest.sink.service import Sink
from ingest.sink.store import TelemetryStore
from ingest.stream.identity import StreamIdentity
from telematics.names import Origin, Topic
from telematics.settings import Settings
from tests.ingest.making import fresh_imei, fresh_offset, fresh_vin

IDENTITY = StreamIdentity("cluster-1", {Topic.AVL_FRAMES.value: "topic-1", Topic.READINGS.value: "topic-2"})


@dataclass(frozen=True, slots=True)
class Vehicle:
    imei: str
    vin: str


@dataclass(frozen=True, slots=True)
class Bench:
    """One consumer group of its own."""

    settings: Settings
    group: str
    first_offset: int
    sinks: list[Sink] = field(default_factory=list)

    def sink(
        self,
        settings: Settings | None = None,
        decoder: FrameDecoder | None = None,
        identity: StreamIdentity = IDENTITY,
        partition: int = 0,
    ) -> tuple[Sink, CollectorRegistry]:
        """A sink that has been assigned a partition, and its figures."""
        figures = CollectorRegistry()
        sink = Sink(
            TelemetryStore(settings or self.settings),
            decoder or BatchFrameDecoder(),
            lambda: identity,
            self.group,
            SinkMetrics(figures),
        )
        self.sinks.append(sink)
        sink.assigned([TopicPartition(Topic.AVL_FRAMES, partition)])
        return sink, figures

    def query(self, statement: str, *parameters: object) -> list[dict[str, object]]:
        with psycopg.connect(self.settings.timescale_dsn(), row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()

    def next_offset(self) -> int | None:
        rows = self.query("select next_offset from stream_offsets where consumer_group = %s", self.group)
        return int(str(rows[0]["next_offset"])) if rows else None

    def rows(self, imei: str) -> list[dict[str, object]]:
        return self.query("select * from telemetry where device_id = %s order by time", imei)

    def dead_letters(self, imei: str) -> list[dict[str, object]]:
        return self.query("select * from dead_letters where device_id = %s order by message_offset", imei)


@pytest.fixture
def bench(stack: Settings) -> Iterator[Bench]:
    bench = Bench(stack, f"test.{secrets.token_hex(6)}", fresh_offset())
    yield bench
    for sink in bench.sinks:
        sink.close()


@pytest.fixture
def register(stack: Settings) -> Callable[..., Vehicle]:
    def add(imei: str | None = None, family: Family = Family.F) -> Vehicle:
        vehicle = Vehicle(imei or fresh_imei(), fresh_vin())
        with connect(stack, "test") as connection:
            add_device(connection, NewDevice(vehicle.imei, vehicle.vin, family, Origin.RECORDED), "test")
        return vehicle

    return add


@pytest.fixture
def vehicle(register: Callable[..., Vehicle]) -> Vehicle:
    return register()
