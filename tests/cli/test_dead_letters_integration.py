"""`piston dead-letters` on the real database and the real Kafka."""

import json
import secrets
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner, Result

from cli.main import build
from ingest.dead_letters.models import DeadLetter
from ingest.stream.log_spans import partitions_of, read_spans
from telematics.errors import PistonError
from telematics.names import Topic
from telematics.settings import Settings
from tests.ingest.dead_letters.making import make_letter
from tests.ingest.making import fresh_imei

pytestmark = pytest.mark.integration


@pytest.fixture
def piston(stack: Settings, monkeypatch: pytest.MonkeyPatch):
    """Runs a `piston dead-letters` command against the session's stack."""
    monkeypatch.setenv("PISTON_ENVIRONMENT", "test")
    monkeypatch.setenv("PISTON_DATA_DIR", str(stack.data))
    monkeypatch.setenv("PISTON_TIMESCALE_PORT", str(stack.timescale_port))
    monkeypatch.setenv("PISTON_KAFKA_PORT", str(stack.kafka_port))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), ["dead-letters", *arguments])

    return run


@pytest.fixture
def park(stack: Settings):
    """Puts a letter into the table, as a sink does; returns its number."""

    def insert(**overrides: object) -> int:
        letter: DeadLetter = make_letter(**overrides)
        with psycopg.connect(stack.timescale_dsn()) as connection:
            row = connection.execute(
                "insert into dead_letters (topic, topic_id, partition, message_offset, device_id, transport,"
                " received_at, reason, detail, message) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " returning dead_letter_id",
                (
                    letter.topic, secrets.token_hex(8), letter.partition, letter.offset, letter.device_id,
                    letter.transport, letter.received_at, letter.reason, letter.detail, letter.message,
                ),
            ).fetchone()  # fmt: skip
        assert row is not None
        return int(row[0])

    return insert


def failure(result: Result) -> tuple[int, str]:
    assert isinstance(result.exception, PistonError)
    return result.exception.exit_code, str(result.exception)


def test_a_letter_is_listed_and_shown_with_bytes_reason_device_and_time(piston, park, tmp_path: Path):
    imei = fresh_imei()
    number = park(device_id=imei, message=b"\0\0garbage", reason="bad_preamble")
    (listed,) = json.loads(piston("list", "--device", imei, "--json").stdout)
    assert listed["id"] == number
    assert (listed["reason"], listed["device_id"], listed["bytes"]) == ("bad_preamble", imei, 9)
    assert listed["received_at"] == "2025-03-14T12:00:01.000Z"
    assert imei in piston("list", "--reason", "bad_preamble").stdout
    shown = piston("show", str(number), "--save", str(tmp_path / "message")).stdout
    assert "00 00 67 61" in shown
    assert "..garbage" in shown
    assert (tmp_path / "message").read_bytes() == b"\0\0garbage"
    whole = json.loads(piston("show", str(number), "--json").stdout)
    assert whole["message"] == b"\0\0garbage".hex()
    assert whole["today"]["is_accepted"] is False
    assert piston("list", "--device", fresh_imei()).stdout.startswith("no open letters")


def test_a_replayed_letter_is_in_its_topic_with_key_and_headers(piston, park, stack: Settings):
    imei = fresh_imei()
    good, bad = park(device_id=imei), park(device_id=imei, message=b"\0\0garbage")
    consumer = Consumer({"bootstrap.servers": stack.kafka_bootstrap, "group.id": f"test.{imei}"})
    consumer.assign(
        [
            TopicPartition(topic, number, span.end)
            for (topic, number), span in read_spans(
                stack.kafka_bootstrap, partitions_of(Topic.AVL_FRAMES)
            ).items()
        ]
    )
    result = piston("replay", "--all", "--device", imei, "--json")
    assert failure(result)[0] == 4
    outcomes = {item["dead_letter_id"]: item["outcome"] for item in json.loads(result.stdout)}
    assert outcomes == {good: "replayed", bad: "still_rejected"}
    message = None
    while message is None or message.key() != imei.encode():
        message = consumer.poll(20)
        assert message is not None
    assert message.value() == make_letter().message
    assert dict(message.headers() or []) == {"received_at": b"1741953601000", "transport": b"tcp"}
    consumer.close()
    assert failure(piston("replay", str(good)))[0] == 4, "it is no longer open"


def test_a_letter_is_dropped_with_a_reason(piston, park):
    number = park(device_id=fresh_imei())
    assert piston("drop", str(number)).exit_code == 2
    dropped = piston("drop", str(number), "--because", "a test rig")
    assert dropped.exit_code == 0
    assert "dropped" in dropped.stdout
    assert json.loads(piston("show", str(number), "--json").stdout)["status"] == "dropped"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["replay"], 2, "--all"),
        (["replay", "1", "--all"], 2, "--all"),
        (["replay", "1", "--reason", "bad_crc"], 2, "choose among"),
        (["list", "--status", "lost"], 2, "open, replayed, dropped or all"),
        (["show", "999999999"], 5, "piston dead-letters list"),
    ],
)
def test_what_cannot_be_is_one_sentence(piston, arguments: list[str], code: int, says: str):
    exit_code, sentence = failure(piston(*arguments))
    assert exit_code == code
    assert says in sentence
