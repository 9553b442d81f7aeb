"""Whatever a peer does, its own connection alone suffers, and it is counted by reason."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from ingest.gateway.limits import Limits
from tests.ingest.codec8 import wire
from tests.ingest.gateway.harness import ALSO_KNOWN, KNOWN, Bench, Tracker

GOOD = wire.VENDOR_CODEC_8
LOGIN = b"\x00\x0f" + KNOWN.encode()
NONSENSE = random.Random(7).randbytes(65_536)
IMPATIENT = Limits(login_timeout_s=0.15, idle_timeout_s=0.15, frame_timeout_s=0.15)
TOO_LONG = bytes(4) + (1_000_000).to_bytes(4) + b"\x08"

Misbehaviour = Callable[[Tracker], Awaitable[None]]


def sends(data: bytes) -> Misbehaviour:
    async def misbehave(tracker: Tracker) -> None:
        tracker.send(data)

    return misbehave


def sends_and_hangs_up(data: bytes) -> Misbehaviour:
    async def misbehave(tracker: Tracker) -> None:
        tracker.send(data)
        tracker.writer.write_eof()

    return misbehave


async def drips(tracker: Tracker) -> None:
    tracker.send(LOGIN)
    for byte in GOOD[:40]:
        tracker.send(bytes([byte]))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        pytest.param(sends(b"GET / HTTP/1.1\r\n\r\n"), "bad_imei", id="another protocol"),
        pytest.param(sends(b"\x00\x0f35630704244101X"), "bad_imei", id="letters in the IMEI"),
        pytest.param(sends(b"\x00\x10" + b"3" * 16), "bad_imei", id="16 digits"),
        pytest.param(sends(NONSENSE), "bad_imei", id="64 KiB of nonsense"),
        pytest.param(sends(LOGIN + NONSENSE), "bad_preamble", id="64 KiB of nonsense behind a login"),
        pytest.param(sends(LOGIN + TOO_LONG), "bad_length", id="a length beyond the limit"),
        pytest.param(sends(LOGIN + bytes(8)), "bad_length", id="length zero"),
        pytest.param(
            sends(LOGIN + GOOD[:7] + bytes([GOOD[7] - 4]) + GOOD[8:]), "bad_crc", id="a length too short"
        ),
        pytest.param(sends_and_hangs_up(LOGIN + GOOD[:30]), "truncated", id="a cut frame"),
        pytest.param(sends_and_hangs_up(LOGIN[:9]), "truncated", id="a cut login"),
        pytest.param(sends(b""), "login_timeout", id="silent from the start"),
        pytest.param(sends(LOGIN[:5]), "login_timeout", id="silent amid the login"),
        pytest.param(sends(LOGIN), "idle_timeout", id="silent after the login"),
        pytest.param(sends(LOGIN + GOOD[:30]), "frame_timeout", id="silent amid a frame"),
        pytest.param(drips, "frame_timeout", id="a byte at a time for ever"),
    ],
)
async def test_that_connection_alone_suffers(misbehave: Misbehaviour, reason: str):
    async with Bench(IMPATIENT) as bench:
        bench.producer.is_prompt = True
        neighbour = await bench.logged_in(ALSO_KNOWN)
        bad = await bench.connect()
        task = asyncio.create_task(misbehave(bad))
        ending = asyncio.create_task(bad.until_closed())
        while not ending.done():
            neighbour.send(GOOD)
            assert await neighbour.receive(4) == b"\x00\x00\x00\x01"
            await asyncio.sleep(0.01)
        assert await ending in (b"", b"\x01")
        await bench.until(lambda: bench.gateway.stats.open_connections == 1)
        assert reason in bench.refusals
        neighbour.send(GOOD)
        assert await neighbour.receive(4) == b"\x00\x00\x00\x01"
        assert {sent.key for sent in bench.producer.sent} == {ALSO_KNOWN.encode()}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_wrong_checksum_gets_no_ack_and_the_device_may_send_again():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        tracker = await bench.logged_in()
        tracker.send(GOOD[:-1] + bytes([GOOD[-1] ^ 1]))
        assert await tracker.hears_nothing()
        assert bench.refusals == {"bad_crc": 1}
        tracker.send(GOOD)
        assert await tracker.receive(4) == b"\x00\x00\x00\x01"
        assert [sent.value for sent in bench.producer.sent] == [GOOD]


async def test_a_device_that_waits_for_kafka_is_not_taken_for_a_silent_one():
    async with Bench(Limits(idle_timeout_s=0.1, max_in_flight=1)) as bench:
        tracker = await bench.logged_in()
        tracker.send(GOOD * 2)
        await bench.until(lambda: bench.gateway.stats.pauses == 1)
        assert await tracker.hears_nothing(0.3)
        bench.producer.is_prompt = True
        bench.producer.report()
        assert await tracker.receive(8) == b"\x00\x00\x00\x01" * 2


async def test_one_connection_too_many_is_closed_and_the_others_stay():
    async with Bench(Limits(max_connections=1)) as bench:
        bench.producer.is_prompt = True
        first = await bench.logged_in()
        second = await bench.connect()
        assert await second.until_closed() == b""
        assert bench.refusals == {"connection_limit": 1}
        first.send(GOOD)
        assert await first.receive(4) == b"\x00\x00\x00\x01"
        await first.hang_up()
        await bench.until(lambda: bench.gateway.stats.open_connections == 0)
        await bench.logged_in()


async def test_a_flood_of_unknown_imeis_costs_few_questions_to_the_registry():
    async with Bench() as bench:
        trackers = [await bench.connect() for _ in range(60)]
        before = len(bench.registry.questions)
        for number, tracker in enumerate(trackers):
            tracker.send(b"\x00\x0f" + f"9{number:014d}".encode())
        for tracker in trackers:
            assert await tracker.until_closed() == b"\x00"
        assert len(bench.registry.questions) - before < 20
        assert bench.refusals == {"unknown_imei": 60}
