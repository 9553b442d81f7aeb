import asyncio

import pytest

from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import CodecId, CommandMessage, CommandType
from ingest.gateway.device_protocol import DeviceProtocol
from ingest.gateway.listening import open_tcp, open_udp
from telematics.errors import ConfigurationError
from tests.ingest.codec8 import wire
from tests.ingest.gateway.harness import ALSO_KNOWN, KNOWN, Bench

GOOD = wire.VENDOR_CODEC_8


async def test_draining_acknowledges_what_is_delivered_and_closes_the_rest_at_once():
    async with Bench() as bench:
        busy, idle = await bench.logged_in(), await bench.logged_in(ALSO_KNOWN)
        busy.send(GOOD)
        await bench.until_sent(1)
        draining = asyncio.create_task(bench.drain(5.0))
        assert await idle.until_closed() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", bench.port)
        assert not draining.done()
        bench.producer.report()
        assert await busy.until_closed() == b"\x00\x00\x00\x01"
        await draining
        assert bench.producer.is_closed


async def test_draining_takes_no_new_frames():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(GOOD)
        await bench.until_sent(1)
        draining = asyncio.create_task(bench.drain(5.0))
        await asyncio.sleep(0.02)
        tracker.send(GOOD)
        await asyncio.sleep(0.05)
        assert len(bench.producer.sent) == 1
        bench.producer.report()
        assert await tracker.until_closed() == b"\x00\x00\x00\x01"
        await draining


async def test_draining_gives_up_what_kafka_does_not_confirm_in_time_without_ack():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(GOOD)
        await bench.until_sent(1)
        await bench.drain(0.05)
        assert await tracker.until_closed() == b""
        assert bench.gateway.stats.acknowledged_frames == 0


def response(text: bytes) -> bytes:
    return encode_tcp_frame(CommandMessage(CodecId.CODEC_12, CommandType.RESPONSE, text))


async def test_a_message_that_fails_while_draining_is_sent_again_and_counted_if_it_fails_for_good():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(response(b"first") + response(b"second"))
        await bench.until_sent(2)
        draining = asyncio.create_task(bench.drain(0.5))
        await asyncio.sleep(0.02)
        bench.producer.report(is_durable=False)
        await bench.until_sent(4)
        bench.producer.report(0)
        await draining
        assert bench.gateway.stats.dropped_messages == 1
        assert len(bench.gateway.outbox) == 0


async def test_a_broken_producer_ends_the_gateway_with_its_error():
    async with Bench() as bench:
        waiting = asyncio.create_task(bench.gateway.wait(asyncio.Event()))
        bench.gateway.broken.set()
        with pytest.raises(Exception, match="start the gateway anew"):
            await waiting


async def test_a_taken_port_is_one_sentence_that_names_the_setting():
    async with Bench() as bench:
        with pytest.raises(ConfigurationError, match="PISTON_GATEWAY_PORT"):
            open_tcp("127.0.0.1", bench.port, reuse_port=False)
        with pytest.raises(ConfigurationError, match="PISTON_GATEWAY_UDP_PORT"):
            open_udp("127.0.0.1", bench.udp_port, reuse_port=False)


class DeafTransport(asyncio.Transport):
    """A socket whose peer reads nothing."""

    is_aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def abort(self) -> None:
        self.is_aborted = True


class OverflowingTransport(DeafTransport):
    """Its buffer overflows with what follows the login's answer, and it says so while that is written."""

    def __init__(self, device: DeviceProtocol) -> None:
        super().__init__()
        self.device = device
        self.is_answered = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_answered.is_set():
            self.device.pause_writing()
        self.is_answered.set()


async def test_an_acknowledgement_that_ends_its_connection_hurts_nobody_else():
    async with Bench() as bench:
        device = DeviceProtocol(bench.gateway)
        transport = OverflowingTransport(device)
        device.connection_made(transport)
        device.data_received(b"\x00\x0f" + KNOWN.encode())
        await asyncio.wait_for(transport.is_answered.wait(), 5.0)
        device.data_received(GOOD + GOOD)
        first, second = device._flights
        second.is_delivered = True  # Kafka took it before the frame that came first
        before = bench.gateway.stats.unsent_acknowledgements
        device.delivered(first, is_durable=True)
        assert bench.refusals == {"answers_unread": 1}
        assert bench.gateway.stats.unsent_acknowledgements == before + 1


async def test_a_peer_that_does_not_read_its_acks_is_cut_off():
    async with Bench() as bench:
        device, transport = DeviceProtocol(bench.gateway), DeafTransport()
        device.connection_made(transport)
        assert transport.high == bench.gateway.limits.max_unread_answer_bytes
        device.pause_writing()
        device.connection_lost(None)
        assert transport.is_aborted
        assert bench.refusals == {"answers_unread": 1}
