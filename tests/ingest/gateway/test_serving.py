from datetime import UTC, datetime

import pytest

from ingest.codec8.decoding import decode_tcp_frame
from ingest.gateway.limits import Limits
from ingest.stream.messages import Transport, encode_headers
from tests.ingest.codec8 import wire
from tests.ingest.gateway.harness import ALSO_KNOWN, KNOWN, NOW_MS, UNKNOWN, Bench

ONE = wire.VENDOR_CODEC_8
TWO = wire.VENDOR_CODEC_8_TWO_RECORDS
EXTENDED = wire.VENDOR_CODEC_8E


def ack(count: int) -> bytes:
    return count.to_bytes(4)


async def test_a_known_device_gets_01_and_its_frames_get_their_count():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        tracker = await bench.logged_in()
        for frame, count in ((ONE, 1), (TWO, 2), (EXTENDED, 1)):
            tracker.send(frame)
            assert await tracker.receive(4) == ack(count)
        assert bench.gateway.stats.acknowledged_records == 4


async def test_an_unknown_imei_gets_00_and_the_door():
    async with Bench() as bench:
        tracker = await bench.connect()
        tracker.send(b"\x00\x0f" + UNKNOWN.encode() + ONE)
        assert await tracker.until_closed() == b"\x00"
        assert bench.refusals == {"unknown_imei": 1}
        assert bench.producer.sent == []


async def test_a_device_registered_later_is_let_in_at_its_next_try():
    async with Bench() as bench:
        refused = await bench.connect()
        refused.send(b"\x00\x0f" + UNKNOWN.encode())
        assert await refused.until_closed() == b"\x00"
        bench.registry.active.add(UNKNOWN)
        await bench.logged_in(UNKNOWN)


async def test_without_registry_known_devices_go_on_and_unknown_ones_are_not_refused():
    async with Bench() as bench:
        await bench.logged_in(KNOWN)
        bench.registry.is_down = True
        unknown = await bench.connect()
        unknown.send(b"\x00\x0f" + UNKNOWN.encode())
        assert await unknown.until_closed() == b""
        await bench.logged_in(KNOWN)
        assert bench.refusals == {"registry_unavailable": 1}


async def test_the_frame_reaches_the_producer_byte_for_byte_with_key_and_headers():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(EXTENDED)
        await bench.until_sent(1)
        (sent,) = bench.producer.sent
        assert (sent.key, sent.value) == (KNOWN.encode(), EXTENDED)
        assert sent.headers == encode_headers(NOW_MS, Transport.TCP)


async def test_ack_comes_only_after_delivery():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(TWO)
        await bench.until_sent(1)
        assert await tracker.hears_nothing()
        bench.producer.report()
        assert await tracker.receive(4) == ack(2)


async def test_a_frame_that_kafka_does_not_take_is_sent_again_and_the_socket_stays():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(TWO)
        for attempt in (1, 2, 3):
            await bench.until_sent(attempt)
            bench.producer.report(is_durable=False)
        assert await tracker.hears_nothing(0.01)
        await bench.until_sent(4)
        bench.producer.report()
        assert await tracker.receive(4) == ack(2)
        assert {(sent.value, *map(tuple, sent.headers)) for sent in bench.producer.sent} == {
            (TWO, *map(tuple, encode_headers(NOW_MS, Transport.TCP)))
        }
        assert bench.gateway.stats.redeliveries == 3
        assert bench.refusals == {}


async def test_a_frame_that_failed_is_not_sent_again_for_a_device_that_is_gone():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(ONE)
        await bench.until_sent(1)
        bench.producer.report(is_durable=False)
        tracker.vanish()
        await bench.until(lambda: bench.gateway.stats.redeliveries == 1)
        assert len(bench.producer.sent) == 1


async def test_acks_keep_the_order_of_the_frames_when_reports_do_not():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(TWO + ONE + TWO)
        await bench.until_sent(3)
        bench.producer.report(1)
        assert await tracker.hears_nothing()
        bench.producer.report(1, 0)
        assert await tracker.receive(12) == ack(2) + ack(1) + ack(2)


async def test_a_frame_after_one_that_failed_waits_for_it():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(TWO + ONE)
        await bench.until_sent(2)
        bench.producer.report(0, is_durable=False)
        bench.producer.report(0)
        await bench.until_sent(3)
        assert await tracker.hears_nothing()
        bench.producer.report()
        assert await tracker.receive(8) == ack(2) + ack(1)


async def test_login_and_frame_glued_or_byte_by_byte_are_understood():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        glued = await bench.connect()
        glued.send(b"\xff\x00\x0f" + KNOWN.encode() + b"\xff" + TWO)
        assert await glued.receive(5) == b"\x01" + ack(2)
        split = await bench.logged_in(ALSO_KNOWN)
        for byte in TWO:
            split.send(bytes([byte]))
            await split.writer.drain()
        assert await split.receive(4) == ack(2)


async def test_two_live_sockets_of_one_imei_are_both_served():
    async with Bench() as bench:
        first, second = await bench.logged_in(), await bench.logged_in()
        first.send(ONE)
        await bench.until_sent(1)
        second.send(TWO)
        await bench.until_sent(2)
        bench.producer.report()
        assert await second.receive(4) == ack(2)
        assert await first.receive(4) == ack(1)


async def test_when_the_producer_is_full_frames_wait_in_order_and_the_socket_is_not_read():
    async with Bench() as bench:
        bench.producer.room = 1
        tracker, neighbour = await bench.logged_in(), await bench.logged_in(ALSO_KNOWN)
        tracker.send(ONE + TWO + EXTENDED)
        await bench.until_sent(1)
        await bench.until(lambda: bench.gateway.stats.pauses == 1)
        neighbour.send(TWO)
        await bench.until(lambda: bench.gateway.stats.pauses == 2)
        tracker.send(ONE)  # stays in the socket: the gateway does not read
        bench.producer.is_prompt = True
        bench.producer.report()
        assert await tracker.receive(16) == ack(1) + ack(2) + ack(1) + ack(1)
        assert await neighbour.receive(4) == ack(2)
        assert [s.value for s in bench.producer.sent if s.key == KNOWN.encode()] == [ONE, TWO, EXTENDED, ONE]


async def test_one_connection_has_a_bounded_number_of_unconfirmed_frames():
    async with Bench(Limits(max_in_flight=2)) as bench:
        tracker = await bench.logged_in()
        tracker.send(ONE * 5)
        await bench.until(lambda: bench.gateway.stats.pauses == 1)
        assert len(bench.producer.sent) == 2
        bench.producer.is_prompt = True
        bench.producer.report()
        assert await tracker.receive(20) == ack(1) * 5


async def test_a_peer_that_sends_and_half_closes_still_gets_its_ack():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(TWO)
        tracker.writer.write_eof()
        await bench.until_sent(1)
        bench.producer.report()
        assert await tracker.until_closed() == ack(2)
        assert bench.refusals == {}


async def test_a_report_for_a_device_that_is_gone_is_counted_and_harms_nobody():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(ONE)
        await bench.until_sent(1)
        tracker.vanish()
        await bench.until(lambda: bench.gateway.stats.open_connections == 0)
        bench.producer.report()
        assert bench.gateway.stats.unsent_acknowledgements == 1


def at(*moment: int) -> str:
    """A record whose clock says so."""
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000).to_bytes(8).hex() + wire.RECORD_8[16:]


def with_text(avl_id: str, text: bytes) -> str:
    """A record of Codec 8 Extended with one element of variable length."""
    return (
        wire.HEAD + "0000" + "0001" + "0000" * 4 + "0001" + avl_id + len(text).to_bytes(2).hex() + text.hex()
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(wire.avl_data("08", at(1970, 1, 1)), id="clock at 1970"),
        pytest.param(wire.avl_data("08", at(2004, 8, 22)), id="clock at 2004"),
        pytest.param(wire.avl_data("08", at(2038, 1, 19, 3, 14, 8)), id="clock at 2038"),
        pytest.param(wire.avl_data("08", "FF" * 8 + wire.RECORD_8[16:]), id="no clock"),
        pytest.param(wire.avl_data("08", *[wire.RECORD_8] * 255), id="255 records"),
        pytest.param(wire.avl_data("08"), id="no records"),
        pytest.param(wire.avl_data("8E", with_text("0119", b"P03\x0000\x00")), id="NUL bytes in a text"),
        pytest.param(wire.avl_data("8E", with_text("0100", b"IOQCM82633A004352")), id="VIN with I, O and Q"),
    ],
)
async def test_what_stands_in_the_records_is_not_the_gateways_business(data: bytes):
    frame = wire.tcp(data)
    decode_tcp_frame(frame)  # well formed, each of them
    async with Bench() as bench:
        bench.producer.is_prompt = True
        tracker = await bench.logged_in()
        tracker.send(frame)
        assert await tracker.receive(4) == ack(data[1])
        assert [sent.value for sent in bench.producer.sent] == [frame]
        assert bench.refusals == {}


@pytest.mark.parametrize(
    ("frame", "count", "reason"),
    [
        (wire.tcp(wire.avl_data("99", wire.RECORD_8)), 1, "unknown_codec"),
        (wire.tcp(wire.avl_data("08", wire.RECORD_8, first=3)), 3, "count_mismatch"),
    ],
    ids=["unknown codec", "counts that differ"],
)
async def test_what_passes_its_checksum_and_cannot_be_read_is_stored_and_acknowledged(frame, count, reason):
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(frame)
        await bench.until_sent(1)
        assert bench.producer.sent[0].value == frame
        bench.producer.report()
        assert await tracker.receive(4) == ack(count)
        assert bench.refusals == {reason: 1}
