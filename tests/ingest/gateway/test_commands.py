"""Commands over a session: when they are written, what answers them, what is published."""

import json
from uuid import UUID, uuid4

import pytest

from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import CodecId, CommandMessage, CommandType
from ingest.commands.models import Command, CommandStatus
from ingest.gateway.limits import Limits
from telematics.names import Topic
from tests.ingest.codec8 import wire
from tests.ingest.gateway.harness import ALSO_KNOWN, KNOWN, UNKNOWN, Bench, Tracker

FRAME = wire.VENDOR_CODEC_8
ACK = b"\x00\x00\x00\x01"


def command(text: str = "getinfo", codec: CodecId = CodecId.CODEC_12, imei: str = KNOWN) -> Command:
    return Command(uuid4(), imei, codec, text)


def response(text: bytes, kind: int = CommandType.RESPONSE, codec=CodecId.CODEC_12, imei=None, at=None):
    return encode_tcp_frame(CommandMessage(codec, kind, text, imei, at))


async def receives(tracker: Tracker, sent: Command) -> None:
    assert await tracker.receive(len(sent.encode())) == sent.encode()


def published(bench: Bench) -> list[dict[str, object]]:
    return [json.loads(sent.value) for sent in bench.producer.sent if sent.topic == Topic.RESPONSES]


def finished(bench: Bench) -> list[tuple[UUID, str, str]]:
    return [
        (answer.command.command_id, answer.status.value, answer.text)
        for turn in bench.commands.turns
        for answer in turn.answers
    ]


async def test_a_waiting_command_is_written_at_login_and_its_answer_kept_and_published():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        asked = command()
        bench.commands.waiting[KNOWN] = [asked]
        tracker = await bench.logged_in()
        await receives(tracker, asked)
        tracker.send(response(b"RTC:2026/1/1 12:00\x00\r\n"))
        await bench.until(lambda: bool(finished(bench)))
        assert finished(bench) == [(asked.command_id, "answered", "RTC:2026/1/1 12:00")]
        (document,) = published(bench)
        assert document["command_id"] == str(asked.command_id)
        assert (document["device_id"], document["status"], document["codec"]) == (KNOWN, "answered", "12")
        assert bytes.fromhex(document["payload_hex"]) == b"RTC:2026/1/1 12:00\x00\r\n"
        assert await tracker.hears_nothing(), "an answer is never acknowledged"


async def test_a_command_waits_for_the_acknowledgement_of_what_the_device_sent():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(FRAME)
        await bench.until_sent(1)
        bench.commands.waiting[KNOWN] = [asked := command()]
        assert await tracker.hears_nothing()
        bench.producer.report()
        assert await tracker.receive(4) == ACK
        await receives(tracker, asked)


async def test_a_frame_that_comes_while_the_command_is_claimed_is_acknowledged_first():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        (session,) = bench.gateway.commands.sessions(KNOWN)
        tracker.send(FRAME)
        await bench.until_sent(1)
        asked = command()
        assert session.send_command(asked)
        assert await tracker.hears_nothing()
        bench.producer.report()
        assert await tracker.receive(4) == ACK
        await receives(tracker, asked)


async def test_a_device_that_empties_its_memory_is_let_do_so():
    async with Bench(quiet_s=0.2) as bench:
        bench.producer.is_prompt = True
        tracker = await bench.logged_in()
        bench.commands.waiting[KNOWN] = [asked := command()]
        for _ in range(8):
            tracker.send(FRAME)
            assert await tracker.receive(4) == ACK
            assert await tracker.hears_nothing(0.05)
        await receives(tracker, asked)


async def test_one_command_is_out_at_a_time():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        first, second = command("getver"), command("getgps")
        bench.commands.waiting[KNOWN] = [first, second]
        tracker = await bench.logged_in()
        await receives(tracker, first)
        assert await tracker.hears_nothing()
        tracker.send(response(b"Ver:1"))
        await receives(tracker, second)


async def test_a_command_that_nobody_answers_does_not_hold_up_the_next_for_ever():
    async with Bench(Limits(answer_timeout_s=0.1)) as bench:
        first, second = command("cpureset"), command("getgps")
        bench.commands.waiting[KNOWN] = [first, second]
        tracker = await bench.logged_in()
        await receives(tracker, first)
        await receives(tracker, second)


async def test_codec_14_names_the_device_and_a_nack_ends_the_command():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        asked = command("getver", CodecId.CODEC_14)
        bench.commands.waiting[KNOWN] = [asked]
        tracker = await bench.logged_in()
        await receives(tracker, asked)
        tracker.send(response(b"", CommandType.NACK, CodecId.CODEC_14, ALSO_KNOWN))
        tracker.send(response(b"Ver:1", CommandType.RESPONSE, CodecId.CODEC_12))
        await bench.until(lambda: len(published(bench)) == 2)
        assert finished(bench) == []
        tracker.send(response(b"", CommandType.NACK, CodecId.CODEC_14, KNOWN))
        await bench.until(lambda: bool(finished(bench)))
        ((command_id, status, text),) = finished(bench)
        assert (command_id, status) == (asked.command_id, CommandStatus.FAILED)
        assert "not its own" in text


@pytest.mark.parametrize(
    ("frame", "codec", "text"),
    [
        (response(b"hello", codec=CodecId.CODEC_13, at=1_700_000_000), "13", "hello"),
        (wire.VENDOR_CODEC_15, "15", "Hello!"),
        (response(b"\xff\xd8\x00photo", CommandType.PHOTO), "12", "\\xff\\xd8\\x00photo"),
        (response(b"unasked"), "12", "unasked"),
    ],
    ids=["codec 13", "codec 15", "photo", "codec 12 without command"],
)
async def test_what_was_not_asked_for_is_published_and_never_acknowledged(frame, codec, text):
    async with Bench() as bench:
        bench.producer.is_prompt = True
        tracker = await bench.logged_in()
        tracker.send(frame + FRAME)
        assert await tracker.receive(4) == ACK
        assert await tracker.hears_nothing(0.02)
        (document,) = published(bench)
        assert (document["command_id"], document["codec"]) == (None, codec)
        assert document["text"] == text


async def test_the_empty_codec_12_of_a_device_is_a_ping():
    async with Bench() as bench:
        bench.commands.waiting[KNOWN] = [asked := command()]
        tracker = await bench.logged_in()
        await receives(tracker, asked)
        tracker.send(wire.tcp(bytes.fromhex("0C00060000000000")))
        await bench.until(lambda: bench.gateway.stats.pings == 1)
        assert published(bench) == []
        assert finished(bench) == []


async def test_a_message_that_does_not_decode_is_kept_for_the_dead_letters():
    broken = wire.tcp(wire.command_data("0C", "06", b"OK", size=99))
    async with Bench() as bench:
        bench.producer.is_prompt = True
        tracker = await bench.logged_in()
        tracker.send(broken)
        await bench.until_sent(1)
        (sent,) = bench.producer.sent
        assert (sent.key, sent.value, sent.topic) == (KNOWN.encode(), broken, Topic.AVL_FRAMES)
        assert bench.refusals == {"bad_length": 1}
        assert await tracker.hears_nothing()


async def test_what_was_out_when_the_session_ended_is_told_to_the_database():
    async with Bench() as bench:
        bench.commands.waiting[KNOWN] = [asked := command()]
        tracker = await bench.logged_in()
        await receives(tracker, asked)
        (session,) = bench.gateway.commands.sessions(KNOWN)
        await tracker.hang_up()
        await bench.until(lambda: any(turn.lost for turn in bench.commands.turns))
        assert {owner for turn in bench.commands.turns for owner in turn.lost} == {session.owner}


async def test_a_command_claimed_for_a_session_that_is_gone_is_taken_back():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(FRAME)
        await bench.until_sent(1)
        (session,) = bench.gateway.commands.sessions(KNOWN)
        session.send_command(asked := command())
        tracker.vanish()
        await bench.until(lambda: any(turn.unwritten for turn in bench.commands.turns))
        assert {one for turn in bench.commands.turns for one in turn.unwritten} == {asked.command_id}


async def test_of_two_sessions_the_younger_gets_the_command_and_the_older_if_that_is_busy():
    async with Bench() as bench:
        older, younger = await bench.logged_in(), await bench.logged_in()
        bench.commands.waiting[KNOWN] = [first := command()]
        await receives(younger, first)
        bench.commands.waiting[KNOWN] = [second := command()]
        await receives(older, second)


async def test_a_database_that_is_down_costs_no_answer():
    async with Bench() as bench:
        bench.producer.is_prompt = True
        bench.commands.waiting[KNOWN] = [asked := command()]
        tracker = await bench.logged_in()
        await receives(tracker, asked)
        bench.commands.is_down = True
        tracker.send(response(b"OK"))
        await bench.until(lambda: bool(published(bench)))
        bench.commands.is_down = False
        await bench.until(lambda: bool(finished(bench)))
        assert finished(bench) == [(asked.command_id, "answered", "OK")]


async def test_draining_tells_which_commands_have_no_session_any_more():
    async with Bench() as bench:
        bench.commands.waiting[KNOWN] = [asked := command()]
        tracker = await bench.logged_in()
        await receives(tracker, asked)
        await bench.drain(1.0)
        assert bench.commands.turns[-1].lost
        await bench.until(lambda: bench.commands.is_closed)


async def test_a_response_that_kafka_does_not_take_is_sent_again():
    async with Bench() as bench:
        tracker = await bench.logged_in()
        tracker.send(response(b"unasked"))
        await bench.until_sent(1)
        bench.producer.report(is_durable=False)
        await bench.until_sent(2)
        bench.producer.report()
        assert len(bench.gateway.outbox) == 0


async def test_messages_of_quarantined_devices_stay_in_quarantine():
    async with Bench(Limits(quarantines_unknown=True)) as bench:
        bench.producer.is_prompt = True
        bench.commands.waiting[UNKNOWN] = [command(imei=UNKNOWN)]
        tracker = await bench.logged_in(UNKNOWN)
        tracker.send(response(b"anything"))
        await bench.until_sent(1)
        assert bench.producer.sent[0].topic == Topic.QUARANTINE
        assert await tracker.hears_nothing()
