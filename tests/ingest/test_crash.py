"""kill -9 of gateway and sink, five times each with frames in flight: nothing is lost or doubled.

Real processes on real servers. A tracker's frame counts as in flight while its acknowledgement was not read;
the sink's while Kafka holds messages beyond the offsets in TimescaleDB, looked at with the sink suspended.
"""

import asyncio
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from ingest.codec8.records import AvlRecord, IoElement
from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import connect, register_fleet
from telematics.clock import epoch_ms, from_epoch_ms
from telematics.names import KAFKA_PARTITIONS, SINK_GROUP, Origin, Topic
from telematics.settings import Settings
from tests.ingest.making import fresh_imei, fresh_vin, make_record
from tests.ingest.services import ServiceProcess, free_port, service, wait_for_port
from tests.ingest.tracker import Tracker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

KILLS = 5
TRACKERS = 8
RECORDS_PER_PACKET = 3
PAUSE_S = 0.01


class Stream:
    """How far Kafka and the sink are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "test.crash"})

    def end(self) -> int:
        """Messages that Kafka ever held, over all partitions."""
        partitions = [TopicPartition(Topic.AVL_FRAMES, number) for number in range(KAFKA_PARTITIONS)]
        return sum(self._consumer.get_watermark_offsets(partition, 5)[1] for partition in partitions)

    def stored(self) -> int:
        """Messages whose effect is in TimescaleDB."""
        with psycopg.connect(self._settings.timescale_dsn()) as connection:
            row = connection.execute(
                "select coalesce(sum(next_offset), 0) from stream_offsets"
                " where consumer_group = %s and topic = %s",
                (SINK_GROUP, Topic.AVL_FRAMES),
            ).fetchone()
        assert row is not None
        return int(row[0])

    def close(self) -> None:
        self._consumer.close()


async def until(condition: Callable[[], bool], patience_s: float, what: str) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        if await asyncio.to_thread(condition):
            return
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


def packets(day_start_ms: int, first: int, stop: asyncio.Event) -> Callable[[], Sequence[AvlRecord] | None]:
    """Packets of records that nobody else sends, until told to stop."""
    number = first

    def packet() -> Sequence[AvlRecord] | None:
        nonlocal number
        if stop.is_set():
            return None
        records = []
        for _ in range(RECORDS_PER_PACKET):
            io = [IoElement(239, 1, 1), IoElement(66, 2, 12_000 + number % 500), IoElement(16, 4, number)]
            records.append(make_record(day_start_ms + number, io))
            number += TRACKERS
        return records[::-1]  # newest first, as much hardware has it

    return packet


async def kill_gateway(gateway: ServiceProcess, port: int, trackers: Sequence[Tracker]) -> None:
    """Kill it while a frame is in flight, and start it again."""
    async with asyncio.timeout(30):
        while True:
            # Nothing runs between this look and the kill: the trackers live in the same loop.
            if any(tracker.is_waiting for tracker in trackers):
                break
            await asyncio.sleep(0)
    assert any(tracker.is_waiting for tracker in trackers), "no frame in flight"
    gateway.signal(signal.SIGKILL)
    await asyncio.to_thread(gateway.abandon)
    gateway.start()
    await wait_for_port(port, gateway)


async def kill_sink(sink: ServiceProcess, stream: Stream) -> None:
    """Kill it while messages are unsettled, start it again, and see it go on."""
    async with asyncio.timeout(30):
        while True:
            sink.signal(signal.SIGSTOP)
            stored = await asyncio.to_thread(stream.stored)
            lag = await asyncio.to_thread(stream.end) - stored
            if lag > 0:
                break
            sink.signal(signal.SIGCONT)
            await asyncio.sleep(0.01)
    assert lag > 0, "nothing in flight"
    sink.kill()
    sink.start()
    # A killed member's partitions come free when its session lapses, six seconds later.
    await until(lambda: stream.stored() > stored, 40, "the sink did not go on")


def register(settings: Settings, imeis: Sequence[str]) -> None:
    devices = [NewDevice(imei, fresh_vin(), Family.OBD, Origin.RECORDED) for imei in imeis]
    with connect(settings, "test") as connection:
        register_fleet(connection, devices, "test")


async def test_nothing_acknowledged_is_lost_or_doubled_by_kills(stack: Settings, tmp_path: Path) -> None:
    port = free_port()
    settings = stack.model_copy(update={"gateway_port": port})
    # a day of its own, so that its count in hot_days is ours alone
    day = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=secrets.randbelow(10_000))
    imeis = [fresh_imei() for _ in range(TRACKERS)]
    register(settings, imeis)
    trackers = [Tracker(imei, port) for imei in imeis]
    stop = asyncio.Event()
    stream = Stream(settings)
    with ExitStack() as started:
        started.callback(stream.close)
        gateway = started.enter_context(service("gateway", settings, tmp_path))
        sink = started.enter_context(service("sink", settings, tmp_path))
        await wait_for_port(port, gateway)
        drives = asyncio.gather(
            *(
                tracker.drive(packets(epoch_ms(day), number, stop), PAUSE_S)
                for number, tracker in enumerate(trackers)
            )
        )
        before = stream.stored()
        await until(lambda: stream.stored() > before, 40, "the sink did not begin")
        for _ in range(KILLS):
            await asyncio.gather(kill_gateway(gateway, port, trackers), kill_sink(sink, stream))
        stop.set()
        await asyncio.wait_for(drives, 60)
        await until(lambda: stream.stored() == stream.end(), 60, "the sink did not catch up")
        assert await asyncio.to_thread(gateway.stop) == 0
        assert await asyncio.to_thread(sink.stop) == 0

    sent = set().union(*(tracker.sent for tracker in trackers))
    acknowledged = set().union(*(tracker.acknowledged for tracker in trackers))
    with psycopg.connect(settings.timescale_dsn()) as connection:
        rows = connection.execute(
            "select device_id, floor(extract(epoch from time) * 1000)::bigint, content_hash from telemetry"
            " where device_id = any(%s)",
            (imeis,),
        ).fetchall()
        counted = connection.execute(
            "select row_count from hot_days where day = %s", (day.date(),)
        ).fetchone()
        parked = connection.execute(
            "select count(*) from dead_letters where device_id = any(%s)", (imeis,)
        ).fetchone()
    assert sum(tracker.resent_count for tracker in trackers) > 0, "no kill made a tracker send again"
    assert acknowledged == sent
    assert len(rows) == len(set(rows)), "a record is stored twice"
    assert acknowledged <= set(rows), "an acknowledged record is missing"
    assert set(rows) == sent
    assert counted == (len(sent),), "the day's count moved more or less than once a row"
    assert parked == (0,)
    assert from_epoch_ms(max(rows)[1]).date() == day.date()
