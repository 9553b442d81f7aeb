"""What one peer may ask of the gateway, and what it does to nobody else."""

import asyncio
import socket
from contextlib import suppress

from ingest.gateway.limits import Limits
from ingest.gateway.rates import RateBucket
from telematics.names import Topic
from tests.ingest.codec8 import wire
from tests.ingest.gateway.harness import ALSO_KNOWN, KNOWN, NOW_MS, UNKNOWN, Bench

FRAME = wire.VENDOR_CODEC_8
ACK = b"\x00\x00\x00\x01"


def test_a_bucket_lets_a_seconds_worth_pass_and_then_the_rate():
    bucket = RateBucket(10.0, now=100.0)
    bucket.left -= 11
    assert bucket.refill(100.0) == 0.1
    assert bucket.refill(100.05) > 0
    assert bucket.refill(100.11) == 0.0
    assert bucket.refill(500.0) == 0.0
    bucket.left -= 10
    assert bucket.refill(500.0) == 0.0, "never more than a second's worth"


def test_rate_zero_is_no_limit():
    bucket = RateBucket(0.0, now=0.0)
    bucket.left -= 1e9
    assert bucket.left > 0


async def test_a_device_above_its_rate_is_read_slower_and_loses_nothing():
    async with Bench(Limits(max_frames_per_s=50.0)) as bench:
        bench.producer.is_prompt = True
        fast, neighbour = await bench.logged_in(), await bench.logged_in(ALSO_KNOWN)
        for _ in range(70):
            fast.send(FRAME)
            await asyncio.sleep(0)
        neighbour.send(FRAME)
        assert await neighbour.receive(4) == ACK
        assert await fast.receive(4 * 70) == ACK * 70
        assert bench.gateway.stats.throttles >= 1
        assert bench.refusals == {}


async def test_a_peer_that_never_reads_its_acks_is_cut_off_and_its_memory_bounded():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.connect(("127.0.0.1", bench.port))
        deaf.sendall(b"\x00\x0f" + KNOWN.encode())
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(deaf, 1) == b"\x01"
        try:
            async with asyncio.timeout(20):
                with suppress(ConnectionError):
                    while True:
                        await loop.sock_sendall(deaf, FRAME * 100)
        finally:
            deaf.close()
        assert bench.refusals == {"answers_unread": 1}
        assert bench.gateway.stats.acknowledged_frames < 20_000, "16 KiB of buffer and 4 KiB beyond"
        other = await bench.logged_in(ALSO_KNOWN)
        other.send(FRAME)
        assert await other.receive(4) == ACK


async def test_unknown_devices_may_be_let_in_and_their_frames_kept_apart():
    async with Bench(Limits(quarantines_unknown=True)) as bench:
        tracker = await bench.logged_in(UNKNOWN)
        tracker.send(FRAME)
        await bench.until_sent(1)
        (sent,) = bench.producer.sent
        assert (sent.key, sent.value, sent.topic) == (UNKNOWN.encode(), FRAME, Topic.QUARANTINE)
        assert await tracker.hears_nothing()
        bench.producer.report()
        assert await tracker.receive(4) == ACK
        assert bench.gateway.stats.quarantined_logins == 1


async def test_a_quarantined_device_that_is_registered_leaves_quarantine_with_its_next_frame():
    async with Bench(Limits(quarantines_unknown=True)) as bench:
        bench.producer.is_prompt = True
        tracker = await bench.logged_in(UNKNOWN)
        bench.registry.active.add(UNKNOWN)
        await bench.logged_in(UNKNOWN)
        tracker.send(FRAME)
        assert await tracker.receive(4) == ACK
        assert bench.producer.sent[0].topic is None
        assert len(bench.gateway.commands.sessions(UNKNOWN)) == 2


async def test_without_registry_nobody_is_quarantined():
    async with Bench(Limits(quarantines_unknown=True)) as bench:
        bench.registry.is_down = True
        tracker = await bench.connect()
        tracker.send(b"\x00\x0f" + UNKNOWN.encode())
        assert await tracker.until_closed() == b""
        assert bench.refusals == {"registry_unavailable": 1}


async def test_a_socket_that_waits_for_room_ends_when_its_device_comes_anew():
    async with Bench() as bench:
        bench.producer.room = 0
        stalled = await bench.logged_in()
        stalled.send(FRAME)
        await bench.until(lambda: bench.gateway.stats.pauses == 1)
        fresh = await bench.logged_in()
        assert await stalled.until_closed() == b""
        assert bench.refusals == {"superseded": 1}
        fresh.send(FRAME)
        await bench.until(lambda: bench.gateway.stats.pauses == 2)
        bench.producer.room, bench.producer.is_prompt = None, True
        bench.producer.report()
        assert await fresh.receive(4) == ACK


async def test_while_kafka_is_down_sockets_stay_and_nothing_is_acknowledged():
    async with Bench(Limits(idle_timeout_s=0.1)) as bench:
        tracker = await bench.logged_in()
        tracker.send(FRAME)
        await bench.until_sent(1)
        assert await tracker.hears_nothing(0.4), "it is us who keep the device waiting"
        bench.producer.report()
        assert await tracker.receive(4) == ACK
        assert await tracker.until_closed() == b""
        assert bench.refusals == {"idle_timeout": 1}


async def test_received_at_is_the_moment_of_the_first_try():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(FRAME)
        await bench.until_sent(1)
        bench.gateway.now_ms = lambda: NOW_MS + 60_000
        bench.producer.report(is_durable=False)
        await bench.until_sent(2)
        assert bench.producer.sent[0].headers == bench.producer.sent[1].headers


async def test_many_devices_may_knock_while_the_gateway_is_busy():
    async with Bench() as bench:
        knocking = []
        try:
            for _ in range(300):  # nothing is accepted meanwhile: this very loop is what accepts
                opened = socket.socket()
                knocking.append(opened)
                opened.setblocking(False)
                opened.connect_ex(("127.0.0.1", bench.port))
            await bench.until(lambda: bench.gateway.stats.open_connections == 300)
        finally:
            for opened in knocking:
                opened.close()
