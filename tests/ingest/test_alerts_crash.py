"""kill -9 of the live writer with frames in flight: every alert is in the topic, and once in ClickHouse.

What has to come out is worked out from the records alone, so a rule that forgot or doubled something is seen,
too. "In flight" is looked at, not hoped for: the process is suspended, and killed only if Kafka holds frames
that are not in the live state.
"""

import itertools
import secrets
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from ingest.alerts.alert import Alert, decode
from ingest.codec8.records import AvlRecord, IoElement
from ingest.live.store import connect as connect_redis
from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import connect, register_fleet
from ingest.stream.messages import Transport, encode_headers
from telematics.names import KAFKA_PARTITIONS, LIVE_OFFSETS_KEY, Origin, Topic, live_key
from telematics.settings import Settings
from tests.ingest.making import NOON_MS, fresh_imei, fresh_vin, make_frame, make_record
from tests.ingest.services import ServiceProcess, service
from warehouse.clients import open_clickhouse

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

KILLS = 2
DEVICES = 12
FRAMES = 60
"""Of each device, between two kills."""

Expected = tuple[str, int, str, str]
"""Device, device time, kind, code."""


class Car:
    """A device that goes through every kind of alert, over and over, and knows which it has caused."""

    def __init__(self) -> None:
        self.imei, self.vin = fresh_imei(), fresh_vin()
        self.expected: list[Expected] = []
        self._numbers = itertools.count()
        self._metres = 1_000_000_000

    def frame(self) -> bytes:
        """The next frame: three records, newest first."""
        return make_frame(*[self._record(next(self._numbers)) for _ in range(3)][::-1])

    def _record(self, number: int) -> AvlRecord:
        time_ms = NOON_MS + number * 40_000
        phase, turn = number % 20, number // 20
        io = [IoElement(281, 0, b"P0300,P0171" if 5 <= phase < 15 else b"P0171")]
        event = 0
        if phase == 0 and turn == 0:
            self._expect(time_ms, "dtc_new", "P0171")
        if phase in (5, 15):
            self._expect(time_ms, "dtc_new" if phase == 5 else "dtc_cleared", "P0300")
        self._metres += 10 if phase != 7 else -50_000
        if phase == 7:
            self._expect(time_ms, "odometer_backwards", "gnss")
        io.append(IoElement(16, 4, self._metres))
        io.append(IoElement(66, 2, 11_500 if 10 <= phase < 14 else 12_700))
        if phase == 12:  # 80 s after the first low one
            self._expect(time_ms, "low_battery", "12v")
        for at, avl_id, value, kind, code in (
            (3, 253, 2, "harsh_event", "braking"),
            (8, 252, 1, "unplug", "unplug"),
            (9, 246, 1, "towing", "towing"),
            (17, 247, 1, "crash", "1"),
        ):
            if phase == at:
                io.append(IoElement(avl_id, 1, value))
                event = avl_id
                self._expect(time_ms, kind, code)
        if phase in (18, 19):
            io.append(IoElement(256, 0, self.vin.encode() if phase == 19 else b"0VE00000000000001"))
            if phase == 18:
                self._expect(time_ms, "vin_mismatch", "256")
        return make_record(time_ms, io, event_io_id=event)

    def _expect(self, time_ms: int, kind: str, code: str) -> None:
        self.expected.append((self.imei, time_ms, kind, code))


class Road:
    """Frames into Kafka, and how far the live writer is behind them."""

    def __init__(self, settings: Settings, client: redis.Redis) -> None:
        # idempotent like the gateway's: a plain one changes the order when it has to try again
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka_bootstrap, "enable.idempotence": True, "log_level": 0}
        )
        self._consumer = Consumer(
            {"bootstrap.servers": settings.kafka_bootstrap, "group.id": f"test.{secrets.token_hex(4)}"}
        )
        self._redis = client

    def send(self, cars: list[Car], frames: int) -> None:
        for _ in range(frames):
            for car in cars:
                # much later than any record: the test's clock runs fast
                headers = encode_headers(NOON_MS + 10**9, Transport.TCP)
                self._producer.produce(Topic.AVL_FRAMES, car.frame(), car.imei.encode(), headers=headers)
        assert self._producer.flush(30) == 0

    def behind(self) -> int:
        """Frames that the live state does not hold."""
        offsets = self._redis.hgetall(LIVE_OFFSETS_KEY)
        missing = 0
        for number in range(KAFKA_PARTITIONS):
            low, high = self._ends(Topic.AVL_FRAMES, number)
            stored = offsets.get(f"{Topic.AVL_FRAMES}:{number}".encode())
            missing += high - (int(stored.partition(b"|")[2]) if stored else low)
        return missing

    def alerts(self, devices: set[str]) -> list[Alert]:
        """Every alert of these devices in the topic."""
        partitions = [
            TopicPartition(Topic.ALERTS, number, OFFSET_BEGINNING) for number in range(KAFKA_PARTITIONS)
        ]
        ends = [self._ends(Topic.ALERTS, place.partition) for place in partitions]
        left = sum(high - low for low, high in ends)
        self._consumer.assign(partitions)
        found: list[Alert] = []
        while left > 0:
            messages = self._consumer.consume(500, 10)
            assert messages, "the topic does not give back what it holds"
            left -= len(messages)
            found += (decode(message.value()) for message in messages)
        return [alert for alert in found if alert.device_id in devices]

    def close(self) -> None:
        self._consumer.close()

    def _ends(self, topic: Topic, number: int) -> tuple[int, int]:
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
            except KafkaException as error:
                # partitions of a topic that was just made get their leaders one by one
                if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                    raise
                time.sleep(0.1)
            else:
                return low, high


def name_of(alert: Alert) -> Expected:
    return alert.device_id, alert.time_ms, alert.kind.value, alert.code


def kill_in_flight(live: ServiceProcess, road: Road, cars: list[Car]) -> None:
    """Kill it while the live state is behind, and start it again."""
    deadline = time.monotonic() + 40
    road.send(cars, FRAMES)
    while True:
        live.signal(signal.SIGSTOP)
        if 0 < road.behind() < FRAMES * DEVICES:
            break  # in the middle of what was sent
        live.signal(signal.SIGCONT)
        assert time.monotonic() < deadline, "never in the middle"
        if not road.behind():
            road.send(cars, FRAMES)
        time.sleep(0.002)
    live.kill()
    live.start()


@contextmanager
def cars_of(settings: Settings) -> Iterator[list[Car]]:
    cars = [Car() for _ in range(DEVICES)]
    with connect(settings, "test") as connection:
        devices = [NewDevice(car.imei, car.vin, Family.OBD, Origin.RECORDED) for car in cars]
        register_fleet(connection, devices, "test")
    yield cars


def wait_until_settled(road: Road, live: ServiceProcess) -> None:
    deadline = time.monotonic() + 60
    while road.behind():
        assert time.monotonic() < deadline, live.last_words()
        time.sleep(0.1)


def in_clickhouse(settings: Settings, devices: set[str]) -> list[Expected]:
    client = open_clickhouse(settings)
    rows = client.query(
        "select device_id, toUnixTimestamp64Milli(time), kind, code from analytics.alerts"
        " where device_id in {devices:Array(String)}",
        parameters={"devices": sorted(devices)},
    ).result_rows
    client.close()
    return [(str(device), int(time_ms), str(kind), str(code)) for device, time_ms, kind, code in rows]


def test_every_alert_is_in_the_topic_and_once_in_clickhouse_whenever_live_is_killed(
    stack: Settings, tmp_path: Path
) -> None:
    client = connect_redis(stack)
    road = Road(stack, client)
    with ExitStack() as started:
        started.callback(client.close)
        started.callback(road.close)
        cars = started.enter_context(cars_of(stack))
        devices = {car.imei for car in cars}
        live = started.enter_context(service("live", stack, tmp_path))
        for _ in range(KILLS):
            kill_in_flight(live, road, cars)
        wait_until_settled(road, live)
        expected = [alert for car in cars for alert in car.expected]
        deadline = time.monotonic() + 60
        while len(stored := in_clickhouse(stack, devices)) < len(expected):
            assert time.monotonic() < deadline, f"{len(stored)} of {len(expected)}\n{live.last_words()}"
            time.sleep(0.2)
        sent = Counter(name_of(alert) for alert in road.alerts(devices))
        newest = client.hget(live_key(cars[0].vin), "dtc_codes")
        assert live.stop() == 0
    assert len(set(expected)) == len(expected) > 0
    assert set(sent) == set(expected), "the topic lacks an alert, or has one that nothing gave rise to"
    assert Counter(stored) == Counter(expected), "not exactly once in ClickHouse"
    assert newest is not None
