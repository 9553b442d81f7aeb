"""From acknowledgement to readable: a real tracker, gateway and live writer on real servers."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest.codec8.records import AvlRecord, IoElement
from ingest.live.store import connect as connect_redis
from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import add_device, connect
from telematics.clock import epoch_ms, utc_now
from telematics.names import Origin, live_key
from telematics.settings import Settings
from tests.ingest.making import fresh_imei, fresh_vin, make_record
from tests.ingest.services import free_port, service, wait_for_port
from tests.ingest.tracker import Tracker

pytestmark = pytest.mark.integration

PROMISE_S = 1.0
RECORDS = 20


async def test_a_record_is_readable_within_a_second_of_its_acknowledgement(
    stack: Settings, tmp_path: Path
) -> None:
    port = free_port()
    settings = stack.model_copy(update={"gateway_port": port})
    imei, vin = fresh_imei(), fresh_vin()
    with connect(settings, "test") as connection:
        add_device(connection, NewDevice(imei, vin, Family.F, Origin.RECORDED), "test")
    client = connect_redis(settings)

    async def seconds_until(expected: bytes, patience_s: float) -> float:
        started = time.monotonic()
        while True:
            value = await asyncio.to_thread(client.hget, live_key(vin), "fuel_pct")
            waited = time.monotonic() - started
            if value is not None and value.endswith(expected):
                return waited
            assert waited < patience_s, "the record never became readable"
            await asyncio.sleep(0.01)

    async def send(tracker: Tracker, number: int) -> None:
        record = make_record(epoch_ms(utc_now()), [IoElement(48, 1, number)])
        packets: list[Sequence[AvlRecord] | None] = [[record], None]
        await tracker.drive(lambda: packets.pop(0), 0)

    with ExitStack() as started:
        started.callback(client.close)
        gateway = started.enter_context(service("gateway", settings, tmp_path))
        live = started.enter_context(service("live", settings, tmp_path))
        await wait_for_port(port, gateway)
        tracker = Tracker(imei, port)
        await send(tracker, 0)
        # a group that nobody was in for a while takes its time to settle
        await seconds_until(b"|0", 30)
        waits = []
        for number in range(1, RECORDS):
            await send(tracker, number)
            waits.append(await seconds_until(b"|%d" % number, 5))
        assert await asyncio.to_thread(live.stop) == 0
        assert await asyncio.to_thread(gateway.stop) == 0
    assert max(waits) < PROMISE_S
