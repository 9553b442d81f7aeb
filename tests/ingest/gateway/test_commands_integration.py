"""`piston device command` to a device on a real gateway: kept, sent, answered, whatever is killed between."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner

from cli.main import build
from ingest.codec8.decoding import decode_tcp_frame
from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import CodecId, CommandMessage, CommandType
from ingest.registry.models import NewDevice
from ingest.registry.repository import add_device, connect
from stack.services import environment_of
from telematics.errors import NotFoundError, UnavailableError
from telematics.names import KAFKA_PARTITIONS, Topic
from telematics.settings import Settings
from tests.ingest.codec8 import wire
from tests.ingest.services import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ANSWERS = {
    "getver": b"Ver:03.27.07_00 GPS:AXN_5.10 Hw:FMC130 Mod:13 IMEI:0 Init:2026-1-1 0:0 Uptime:17",
    "getinfo": b"RTC:2026/1/1 12:00 Init:2026/1/1 0:0\r\n",
}


@pytest.fixture
def settings(stack: Settings) -> Settings:
    return stack.model_copy(
        update={"gateway_port": free_port(), "command_quiet_s": 0.1, "command_answer_timeout_s": 2.0}
    )


@pytest.fixture
def imei(stack: Settings) -> str:
    digits = f"35{time.time_ns() % 10**13:013d}"
    with connect(stack, "test") as connection:
        add_device(connection, NewDevice(digits, "1HGCM82633A004352"), "test")
    return digits


@pytest.fixture
def piston(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    for name, value in environment_of(settings).items():
        if name.startswith("PISTON_"):
            monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(build(), ["device", *arguments])


@contextmanager
def gateway(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "gateway", *arguments],
        env=environment_of(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert str(settings.gateway_port) in process.stdout.readline()
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def log_in(settings: Settings, imei: str) -> socket.socket:
    device = socket.create_connection((settings.gateway_host, settings.gateway_port), timeout=20)
    device.sendall(b"\x00\x0f" + imei.encode())
    assert device.recv(1) == b"\x01"
    return device


def receive(device: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = device.recv(size - len(received))
        assert part, "the gateway hung up"
        received += part
    return received


def next_command(device: socket.socket) -> str:
    head = receive(device, 8)
    message = decode_tcp_frame(head + receive(device, int.from_bytes(head[4:]) + 4))
    assert isinstance(message, CommandMessage)
    return message.payload.decode()


def answer(device: socket.socket, text: bytes) -> None:
    device.sendall(encode_tcp_frame(CommandMessage(CodecId.CODEC_12, CommandType.RESPONSE, text)))


def until_answered(piston, command_id: str) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        (row,) = json.loads(piston("commands", "--id", command_id, "--json").stdout)
        if row["status"] == "answered":
            return row
        time.sleep(0.1)
    raise AssertionError(row)


def responses(settings: Settings, imei: str, count: int) -> Sequence[dict[str, object]]:
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": f"test.{imei}"})
    with closing(consumer):
        consumer.assign([TopicPartition(Topic.RESPONSES, number, 0) for number in range(KAFKA_PARTITIONS)])
        found: list[dict[str, object]] = []
        deadline = time.monotonic() + 20
        while len(found) < count and time.monotonic() < deadline:
            found += [
                json.loads(message.value())
                for message in consumer.consume(100, 0.2)
                if message.key() == imei.encode()
            ]
        return found


def test_a_command_survives_a_killed_gateway_and_a_new_device_says_what_it_is(settings, imei, piston):
    queued = json.loads(piston("command", imei, "getinfo", "--json").stdout)
    assert queued["status"] == "queued"
    with gateway(settings) as first, closing(log_in(settings, imei)) as device:
        device.sendall(wire.VENDOR_CODEC_8)
        assert receive(device, 4) == b"\x00\x00\x00\x01", "first what the device has to say"
        assert next_command(device) == "getinfo"
        first.send_signal(signal.SIGKILL)
        first.wait(10)
    with gateway(settings), closing(log_in(settings, imei)) as device:
        asked = []
        for _ in ANSWERS:  # getinfo waits until its time for an answer is over, unless that was so already
            asked.append(next_command(device))
            answer(device, ANSWERS[asked[-1]])
        assert sorted(asked) == sorted(ANSWERS)
        row = until_answered(piston, queued["command_id"])
    assert (row["answer"], row["attempts"]) == ("RTC:2026/1/1 12:00 Init:2026/1/1 0:0", 2)
    with psycopg.connect(settings.timescale_dsn()) as connection:
        known = connection.execute("select model, firmware from devices where imei = %s", (imei,)).fetchone()
    assert known == ("FMC130", "03.27.07_00")
    assert [item["command"] for item in responses(settings, imei, 2)] == asked
    assert "getinfo" in piston("commands", imei).stdout
    assert json.loads(piston("commands", imei, "--open", "--json").stdout) == []


def test_several_processes_share_the_port_and_one_that_is_killed_comes_back(settings, imei, piston):
    quiet = settings.model_copy(update={"ask_version": False})
    with gateway(quiet, "--processes", "2") as parent, ExitStack() as opened:
        children = [int(pid) for pid in _children(parent.pid)]
        assert len(children) == 2
        for _ in range(12):
            device = opened.enter_context(closing(log_in(settings, imei)))
            device.sendall(wire.VENDOR_CODEC_8)
            assert receive(device, 4) == b"\x00\x00\x00\x01"
        os.kill(children[0], signal.SIGKILL)
        deadline = time.monotonic() + 30
        while len(_children(parent.pid)) < 2 or children[0] in _children(parent.pid):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with closing(log_in(settings, imei)) as device:
            device.sendall(wire.VENDOR_CODEC_8)
            assert receive(device, 4) == b"\x00\x00\x00\x01"
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 0


def test_what_cannot_be_commanded_is_one_sentence(settings, imei, piston):
    unknown = piston("command", "356000000000000", "getinfo")
    assert isinstance(unknown.exception, NotFoundError)
    unheard = piston("command", imei, "getinfo", "--wait", "0.1")
    assert isinstance(unheard.exception, UnavailableError)
    assert "no answer within 0.1 s" in str(unheard.exception)
    for arguments in (
        ("command", imei, ""),
        ("command", imei, "x", "--codec", "13"),
        ("commands", "--id", "x"),
    ):
        assert piston(*arguments).exception.exit_code == 2
    assert piston("commands", "--id", "00000000-0000-0000-0000-000000000000").exception.exit_code == 5


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split() if Path(f"/proc/{child}/stat").read_text().split()[2] != "Z"]
