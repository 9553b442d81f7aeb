"""The device port over UDP."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ingest.codec8.encoding import encode_udp_datagram
from ingest.codec8.records import CodecId, CommandMessage, CommandType, UdpDatagram
from ingest.gateway.limits import Limits
from ingest.stream.messages import Transport, encode_headers
from telematics.names import Topic
from tests.ingest.codec8 import wire
from tests.ingest.gateway.harness import KNOWN, NOW_MS, SOON_S, UNKNOWN, Bench

DATA = wire.avl_data("8E", wire.RECORD_8E, wire.RECORD_8E)


def datagram(imei: str = KNOWN, data: bytes = DATA, packet_id: int = 0xCAFE, avl_id: int = 5) -> bytes:
    header = (6 + 15 + len(data)).to_bytes(2) + packet_id.to_bytes(2) + bytes([1, avl_id]) + b"\x00\x0f"
    return header + imei.encode() + data


def ack(count: int, packet_id: int = 0xCAFE, avl_id: int = 5) -> bytes:
    return b"\x00\x05" + packet_id.to_bytes(2) + bytes([1, avl_id, count])


class UdpTracker:
    def __init__(self, socket_: socket.socket) -> None:
        self._socket = socket_

    async def receive(self) -> bytes:
        async with asyncio.timeout(SOON_S):
            return await asyncio.get_running_loop().sock_recv(self._socket, 2048)

    def send(self, data: bytes) -> None:
        self._socket.send(data)

    async def hears_nothing(self, for_s: float = 0.05) -> bool:
        try:
            async with asyncio.timeout(for_s):
                await asyncio.get_running_loop().sock_recv(self._socket, 2048)
        except TimeoutError:
            return True
        return False


@contextmanager
def tracker_of(bench: Bench) -> Iterator[UdpTracker]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setblocking(False)
        opened.connect(("127.0.0.1", bench.udp_port))
        yield UdpTracker(opened)


async def test_a_datagram_is_acknowledged_with_its_ids_after_delivery():
    async with Bench() as bench:
        with tracker_of(bench) as tracker:
            tracker.send(datagram())
            await bench.until_sent(1)
            (sent,) = bench.producer.sent
            assert (sent.key, sent.value, sent.topic) == (KNOWN.encode(), datagram(), None)
            assert sent.headers == encode_headers(NOW_MS, Transport.UDP)
            assert await tracker.hears_nothing()
            bench.producer.report()
            assert await tracker.receive() == ack(2)
        assert bench.gateway.stats.by_codec[CodecId.CODEC_8_EXTENDED] == [1, 2]


async def test_a_retry_on_its_way_waits_and_one_that_is_stored_is_answered_at_once():
    async with Bench() as bench:
        with tracker_of(bench) as tracker:
            tracker.send(datagram())
            await bench.until_sent(1)
            tracker.send(datagram())
            await bench.until(lambda: bench.gateway.stats.repeated_datagrams == 1)
            assert await tracker.hears_nothing(0.02)
            bench.producer.report()
            assert await tracker.receive() == ack(2)
            tracker.send(datagram())
            assert await tracker.receive() == ack(2)
            assert len(bench.producer.sent) == 1


async def test_a_retry_from_another_address_is_answered_there():
    async with Bench() as bench:
        with tracker_of(bench) as before, tracker_of(bench) as after:
            before.send(datagram())
            await bench.until_sent(1)
            after.send(datagram())
            await bench.until(lambda: bench.gateway.stats.repeated_datagrams == 1)
            bench.producer.report()
            assert await after.receive() == ack(2)


async def test_the_same_ids_with_other_bytes_are_another_datagram():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        with tracker_of(bench) as tracker:
            tracker.send(datagram())
            assert await tracker.receive() == ack(2)
            tracker.send(datagram(data=wire.avl_data("08", wire.RECORD_8)))
            assert await tracker.receive() == ack(1)
        assert len(bench.producer.sent) == 2


async def test_what_kafka_does_not_take_is_not_answered_and_the_retry_is_stored():
    async with Bench() as bench:
        with tracker_of(bench) as tracker:
            tracker.send(datagram())
            await bench.until_sent(1)
            bench.producer.report(is_durable=False)
            assert await tracker.hears_nothing()
            tracker.send(datagram())
            await bench.until_sent(2)
            bench.producer.report()
            assert await tracker.receive() == ack(2)


async def test_an_unknown_device_is_refused_without_a_word_until_it_is_registered():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        with tracker_of(bench) as tracker:
            tracker.send(datagram(UNKNOWN))
            assert await tracker.hears_nothing()
            assert bench.refusals == {"unknown_imei": 1}
            bench.registry.active.add(UNKNOWN)
            tracker.send(datagram(UNKNOWN))
            assert await tracker.receive() == ack(2)


async def test_an_unknown_device_may_be_quarantined():
    async with Bench(Limits(quarantines_unknown=True)) as bench:
        bench.producer.is_prompt = True
        with tracker_of(bench) as tracker:
            tracker.send(datagram(UNKNOWN))
            assert await tracker.receive() == ack(2)
        assert bench.producer.sent[0].topic == Topic.QUARANTINE


@pytest.mark.parametrize(
    ("data", "count", "reason"),
    [
        (wire.avl_data("99", wire.RECORD_8), 1, "unknown_codec"),
        (wire.avl_data("08", wire.RECORD_8, second=7), 1, "count_mismatch"),
    ],
)
async def test_what_nobody_can_decode_is_stored_and_acknowledged(data, count, reason):
    async with Bench() as bench:
        bench.producer.is_prompt = True
        with tracker_of(bench) as tracker:
            tracker.send(datagram(data=data))
            assert await tracker.receive() == ack(count)
        assert bench.refusals == {reason: 1}
        assert bench.producer.sent[0].value == datagram(data=data)


@pytest.mark.parametrize("junk", [b"\x00", b"\x00\x00", b"GET / HTTP/1.1\r\n\r\n", datagram()[:-3]])
async def test_junk_is_counted_and_not_answered(junk):
    async with Bench() as bench:
        with tracker_of(bench) as tracker:
            tracker.send(junk)
            assert await tracker.hears_nothing()
        assert sum(bench.refusals.values()) == 1
        assert bench.producer.sent == []


async def test_pings_are_counted_and_not_answered():
    async with Bench() as bench:
        with tracker_of(bench) as tracker:
            tracker.send(b"\xff\xff")
            assert await tracker.hears_nothing()
        assert (bench.gateway.stats.pings, bench.refusals) == (2, {})


async def test_messages_are_published_and_never_acknowledged():
    message = CommandMessage(CodecId.CODEC_13, CommandType.RESPONSE, b"hello", None, 1_700_000_000)
    async with Bench() as bench:
        with tracker_of(bench) as tracker:
            tracker.send(encode_udp_datagram(UdpDatagram(1, 2, KNOWN, message)))
            await bench.until_sent(1)
            (sent,) = bench.producer.sent
            assert sent.topic == Topic.RESPONSES
            assert json.loads(sent.value)["text"] == "hello"
            bench.producer.report()
            assert await tracker.hears_nothing()


async def test_above_its_rate_or_without_room_a_device_is_not_answered():
    async with Bench(Limits(max_frames_per_s=1.0)) as bench:
        bench.producer.room = 1
        with tracker_of(bench) as tracker:
            tracker.send(datagram())
            tracker.send(datagram(packet_id=2))
            await bench.until(lambda: bench.refusals == {"rate_limit": 1})
    async with Bench() as bench:
        bench.producer.room = 1
        with tracker_of(bench) as tracker:
            tracker.send(datagram())
            tracker.send(datagram(packet_id=2))
            await bench.until(lambda: bench.refusals == {"no_room": 1})
            bench.producer.report()
            assert await tracker.receive() == ack(2)


async def test_draining_acknowledges_what_is_delivered_and_takes_nothing_more():
    async with Bench() as bench:
        with tracker_of(bench) as tracker:
            tracker.send(datagram())
            await bench.until_sent(1)
            draining = asyncio.create_task(bench.drain(5.0))
            await asyncio.sleep(0.02)
            tracker.send(datagram(packet_id=2))
            await asyncio.sleep(0.02)
            bench.producer.report()
            assert await tracker.receive() == ack(2)
            await draining
            assert len(bench.producer.sent) == 1
