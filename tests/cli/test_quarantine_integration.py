"""`piston device quarantine`: a stranger's frames wait until it is registered, then land exactly once."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from psycopg.rows import dict_row
from typer.testing import CliRunner, Result

from cli.main import build
from ingest.codec8.encoding import encode_tcp_frame, wrap_tcp
from ingest.codec8.records import CodecId, CommandMessage, CommandType
from ingest.stream.log_spans import partitions_of, read_spans
from stack.services import environment_of
from telematics.clock import rfc3339_ms
from telematics.errors import PistonError
from telematics.names import KAFKA_PARTITIONS, SINK_GROUP, Topic
from telematics.settings import Settings
from tests.ingest.making import NOON_MS, make_frame, make_record
from tests.ingest.services import ServiceProcess, free_port, service

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

VIN = "1HGCM82633A004352"
PATIENCE_S = 60.0
UNREADABLE = wrap_tcp(b"\x07\x01\x00\x01")
"""Codec 7 passes its checksum, and nobody here reads it."""


@pytest.fixture
def settings(stack: Settings) -> Settings:
    return stack.model_copy(update={"gateway_port": free_port(), "unknown_devices": "quarantine"})


@pytest.fixture
def imei() -> str:
    return f"35{time.time_ns() % 10**13:013d}"


@pytest.fixture
def piston(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name, value in environment_of(settings).items():
        if name.startswith("PISTON_"):
            monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(build(), ["device", *arguments])


@pytest.fixture
def gateway(settings: Settings, tmp_path: Path) -> Iterator[ServiceProcess]:
    with service("gateway", settings, tmp_path) as process:
        yield process


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


def send(settings: Settings, imei: str, *frames: tuple[bytes, bytes]) -> None:
    """Log in as soon as the gateway lets us, and send frames, each followed by its acknowledgement."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            device = socket.create_connection((settings.gateway_host, settings.gateway_port), timeout=20)
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    with closing(device):
        device.sendall(b"\x00\x0f" + imei.encode())
        assert device.recv(1) == b"\x01"
        for frame, acknowledgement in frames:
            device.sendall(frame)
            if acknowledgement:
                assert device.recv(4) == acknowledgement


def records(*seconds: int) -> tuple[bytes, bytes]:
    frame = make_frame(*(make_record(NOON_MS + 1000 * second) for second in seconds))
    return frame, len(seconds).to_bytes(4)


def said(text: bytes) -> tuple[bytes, bytes]:
    return encode_tcp_frame(CommandMessage(CodecId.CODEC_12, CommandType.RESPONSE, text)), b""


def waiting(piston: Callable[..., Result], imei: str) -> dict[str, object] | None:
    rows = json.loads(piston("quarantine", "list", "--limit", "100000", "--json").stdout)
    return next((row for row in rows if row["imei"] == imei), None)


def query(settings: Settings, statement: str, *parameters: object) -> list[dict[str, object]]:
    with psycopg.connect(settings.timescale_dsn(), row_factory=dict_row) as connection:
        return connection.execute(statement, parameters).fetchall()


def is_drained(settings: Settings) -> bool:
    """Whether the sink has stored all that is in the frame topic."""
    stored = {
        row["partition"]: row["next_offset"]
        for row in query(
            settings,
            "select partition, next_offset from stream_offsets where consumer_group = %s and topic = %s",
            SINK_GROUP,
            Topic.AVL_FRAMES,
        )
    }
    spans = read_spans(settings.kafka_bootstrap, partitions_of(Topic.AVL_FRAMES))
    return all(stored.get(number, 0) == span.end for (_, number), span in spans.items())


def responses(settings: Settings, imei: str) -> list[dict[str, object]]:
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": f"test.{imei}"})
    with closing(consumer):
        consumer.assign([TopicPartition(Topic.RESPONSES, number, 0) for number in range(KAFKA_PARTITIONS)])
        found: list[dict[str, object]] = []
        deadline = time.monotonic() + 10
        while not found and time.monotonic() < deadline:
            found = [
                json.loads(message.value() or b"")
                for message in consumer.consume(100, 0.5)
                if message.key() == imei.encode()
            ]
        return found


def failure(result: Result) -> tuple[int, str]:
    assert isinstance(result.exception, PistonError)
    return result.exception.exit_code, str(result.exception)


@pytest.mark.usefixtures("gateway")
def test_a_strangers_frames_land_exactly_once_after_it_is_registered(
    settings: Settings, imei: str, piston: Callable[..., Result], tmp_path: Path
) -> None:
    frames = [records(0, 1), records(3, 2), said(b"hello"), said(b""), (UNREADABLE, b"\0\0\0\1"), records(4)]
    send(settings, imei, *frames)
    wait_until(lambda: (row := waiting(piston, imei)) is not None and row["frames"] == 6)
    row = waiting(piston, imei)
    assert row is not None
    assert row["is_registered"] is False
    shown = json.loads(piston("quarantine", "show", imei, "--json").stdout)
    assert [item["frame"] for item in shown] == [frame.hex() for frame, _ in frames]
    assert [(item["content"], item["records"]) for item in shown] == [
        ("records", 2), ("records", 2), ("message", 0), ("ping", 0), ("unreadable", 0), ("records", 1),
    ]  # fmt: skip
    code, sentence = failure(piston("quarantine", "replay", imei))
    assert (code, "piston device add" in sentence) == (5, True)
    assert piston("add", imei, "--vin", VIN).exit_code == 0
    assert "registered: replay them" in piston("quarantine", "list", "--limit", "100000").stdout

    with service("sink", settings, tmp_path):
        done = json.loads(piston("quarantine", "replay", imei, "--json").stdout)
        assert done == {"frames": 6, "records": 5, "messages": 1, "pings": 1, "unreadable": 1}
        stored = (
            "select time, vin, received_at, stream_position from telemetry where device_id = %s order by time"
        )
        wait_until(lambda: len(query(settings, stored, imei)) == 5)
        rows = query(settings, stored, imei)
        assert {row["vin"] for row in rows} == {VIN}
        received = [shown[number]["received_at"] for number in (0, 0, 1, 1, 5)]
        assert [rfc3339_ms(row["received_at"]) for row in rows] == received  # type: ignore[arg-type]
        assert rows[0]["stream_position"] < rows[3]["stream_position"] < rows[4]["stream_position"]  # type: ignore[operator]
        wait_until(lambda: is_drained(settings))
        letters = query(settings, "select reason from dead_letters where device_id = %s", imei)
        assert [letter["reason"] for letter in letters] == ["unknown_codec"]
        (response,) = responses(settings, imei)
        assert (response["text"], response["received_at"]) == ("hello", shown[2]["received_at"])

        again = json.loads(piston("quarantine", "replay", imei, "--json").stdout)
        assert again["frames"] == 0
        assert waiting(piston, imei) is None
        assert failure(piston("quarantine", "show", imei))[0] == 5

        # as if the replay had died when Kafka had the frames and its place was not written yet
        with psycopg.connect(settings.timescale_dsn()) as connection:
            connection.execute(
                "delete from stream_offsets where consumer_group = %s", (f"piston.quarantine:{imei}",)
            )
        assert "6 frames sent on, with 5 records" in piston("quarantine", "replay", imei).stdout
        wait_until(lambda: is_drained(settings))
        assert query(settings, stored, imei) == rows, "each record is there once, as it was"
    trail = query(
        settings, "select action, detail from audit_events where subject = %s order by audit_event_id", imei
    )
    assert [event["action"] for event in trail] == ["device.add", "quarantine.replay", "quarantine.replay"]


@pytest.mark.usefixtures("gateway")
def test_dropped_frames_are_not_replayed_and_later_ones_are(
    settings: Settings, imei: str, piston: Callable[..., Result]
) -> None:
    send(settings, imei, records(0), records(1))
    assert piston("quarantine", "drop", imei).exit_code == 2, "it wants a reason"
    assert piston("quarantine", "drop", imei, "--because", "a test rig").stdout == "2 frames dropped\n"
    assert waiting(piston, imei) is None
    send(settings, imei, records(2, 3))
    piston("add", imei, "--vin", VIN)
    done = json.loads(piston("quarantine", "replay", imei, "--json").stdout)
    assert (done["frames"], done["records"]) == (1, 2)
    trail = query(
        settings, "select detail from audit_events where action = 'quarantine.drop' and subject = %s", imei
    )
    assert trail[0]["detail"]["because"] == "a test rig"  # type: ignore[index]


def test_what_cannot_be_is_one_sentence(piston: Callable[..., Result], imei: str) -> None:
    assert failure(piston("quarantine", "show", "123"))[0] == 2
    assert failure(piston("quarantine", "show", imei))[0] == 5
    piston("add", imei, "--vin", VIN)
    assert "nothing of this device waits" in piston("quarantine", "replay", imei).stdout
    piston("retire", imei, "--no-wait")
    code, sentence = failure(piston("quarantine", "replay", imei))
    assert (code, "brings it back" in sentence) == (4, True)
