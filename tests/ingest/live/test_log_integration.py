"""The live writer as a process, where Kafka's log and what Valkey says of it do not agree."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
import redis
from confluent_kafka import Producer

from ingest.codec8.records import IoElement
from ingest.live.store import connect as connect_redis
from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import add_device, connect
from ingest.stream.identity import read_identity
from ingest.stream.log_spans import read_spans
from ingest.stream.messages import Transport, encode_headers
from ingest.stream.reading_form import parse_reading
from ingest.stream.readings import encode_reading, encode_reading_headers, partner_device_id
from telematics.clock import epoch_ms, utc_now
from telematics.names import LIVE_OFFSETS_KEY, Origin, Topic, live_key
from telematics.settings import Settings
from tests.ingest.making import fresh_imei, fresh_vin, make_frame, make_record
from tests.ingest.services import service

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

TOPIC = Topic.AVL_FRAMES.value
PATIENCE_S = 120.0
"""A first start may compile."""


class Car:
    """A registered device, and frames of it in Kafka."""

    def __init__(self, settings: Settings) -> None:
        self.imei, self.vin = fresh_imei(), fresh_vin()
        with connect(settings, "test") as connection:
            add_device(connection, NewDevice(self.imei, self.vin, Family.OBD, Origin.RECORDED), "test")
        self.producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "log_level": 0})
        self.places: list[tuple[int, int]] = []

    def send(self, fuel: int) -> tuple[int, int]:
        """Partition and offset of a frame."""
        now_ms = epoch_ms(utc_now())
        frame = make_frame(make_record(now_ms, [IoElement(48, 1, fuel)]))
        return self.produce(TOPIC, self.imei, frame, encode_headers(now_ms, Transport.TCP))

    def produce(self, topic: str, key: str, value: bytes, headers: object) -> tuple[int, int]:
        self.producer.produce(
            topic,
            value,
            key.encode(),
            headers=headers,  # type: ignore[arg-type]
            on_delivery=lambda _error, message: self.places.append((message.partition(), message.offset())),
        )
        assert self.producer.flush(30) == 0
        return self.places[-1]


@pytest.fixture
def client(stack: Settings) -> Iterator[redis.Redis]:
    client = connect_redis(stack)
    yield client
    client.close()


@pytest.fixture
def car(stack: Settings) -> Car:
    return Car(stack)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_frames_behind_an_offset_that_the_log_never_reached_are_not_dropped(
    stack: Settings, client: redis.Redis, car: Car, tmp_path: Path
) -> None:
    partition, offset = car.send(10)
    topic_id = read_identity(stack.kafka_bootstrap, (TOPIC,)).topic_ids[TOPIC]
    field = f"{TOPIC}:{partition}"
    client.hset(LIVE_OFFSETS_KEY, field, f"{topic_id}|{offset + 1000}")
    with service("live", stack, tmp_path) as live:
        wait_for(
            lambda: (client.hget(live_key(car.vin), "fuel_pct") or b"").endswith(b"|10"), live.last_words()
        )
        _, offset = car.send(20)
        wait_for(
            lambda: client.hget(LIVE_OFFSETS_KEY, field) == f"{topic_id}~1|{offset + 1}".encode(),
            live.last_words(),
        )
        assert (client.hget(live_key(car.vin), "fuel_pct") or b"").endswith(b"|20")
        assert live.stop() == 0
    assert "live.log_shortened" in (tmp_path / "live.log").read_text()


def test_kafka_tells_what_its_logs_hold(stack: Settings, car: Car) -> None:
    partition, offset = car.send(10)
    span = read_spans(stack.kafka_bootstrap, [(TOPIC, partition)])[TOPIC, partition]
    assert span.start <= offset
    assert span.end == offset + 1
    assert read_spans(stack.kafka_bootstrap, []) == {}


def test_what_is_posted_becomes_live_state(
    stack: Settings, client: redis.Redis, car: Car, tmp_path: Path
) -> None:
    now_ms = epoch_ms(utc_now())
    document = {
        "timestamp": utc_now().isoformat(),
        "fuel_pct": 55,
        "odometer": 1234.5,
        "location": {"lat": 1.5, "lng": -2.5},
    }
    reading = encode_reading(parse_reading(document, car.vin))
    headers = encode_reading_headers(now_ms)
    car.produce(Topic.READINGS.value, partner_device_id("dealer"), reading, headers)
    with service("live", stack, tmp_path) as live:
        wait_for(lambda: client.hget(live_key(car.vin), "fuel_pct") is not None, live.last_words())
        assert live.stop() == 0
    state = {
        name.decode(): orjson.loads(value.partition(b"|")[2])
        for name, value in client.hgetall(live_key(car.vin)).items()
    }
    assert state["fuel_pct"] == 55
    assert state["odometer"] == {"miles": 1234.5, "source": "partner"}
    assert state["position"] == {
        "lat": 1.5,
        "lng": -2.5,
        "accuracy_m": None,
        "heading": None,
        "altitude_ft": None,
        "satellites": None,
        "is_valid": True,
    }
