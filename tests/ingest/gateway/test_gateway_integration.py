"""`piston gateway` as a process, on the real servers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, TopicPartition

from ingest.registry.models import NewDevice
from ingest.registry.repository import add_device, connect
from ingest.stream.messages import Transport, decode_frame
from telematics.names import KAFKA_PARTITIONS, Topic
from telematics.settings import Settings
from tests.ingest.codec8 import wire

pytestmark = pytest.mark.integration

VIN = "1HGCM82633A004352"
FRAMES = [wire.VENDOR_CODEC_8, wire.VENDOR_CODEC_8_TWO_RECORDS, wire.VENDOR_CODEC_8E]


def environment(settings: Settings) -> dict[str, str]:
    ports = ("kafka_port", "timescale_port", "gateway_port")
    return os.environ | {
        "PISTON_ENVIRONMENT": "test",
        "PISTON_DATA_DIR": str(settings.data),
        "PISTON_ASK_VERSION": "false",
        **{f"PISTON_{name.upper()}": str(getattr(settings, name)) for name in ports},
    }


@contextmanager
def running_gateway(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "gateway"],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert str(settings.gateway_port) in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def log_in(settings: Settings, imei: str) -> tuple[socket.socket, bytes]:
    device = socket.create_connection((settings.gateway_host, settings.gateway_port), timeout=10)
    device.sendall(b"\x00\x0f" + imei.encode())
    return device, device.recv(1)


def stored_frames(settings: Settings, imei: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": f"test.{imei}"})
    try:
        consumer.assign([TopicPartition(Topic.AVL_FRAMES, number, 0) for number in range(KAFKA_PARTITIONS)])
        found: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(found) < count and time.monotonic() < deadline:
            for message in consumer.consume(100, 0.2):
                frame = decode_frame(message)
                if frame.imei == imei:
                    assert frame.transport is Transport.TCP
                    assert abs(frame.received_at_ms - time.time() * 1000) < 120_000
                    found.append(frame.frame)
        return found
    finally:
        consumer.close()


def test_a_registered_device_gets_its_frames_into_kafka_byte_for_byte(stack: Settings):
    imei = f"35{time.time_ns() % 10**13:013d}"
    with running_gateway(stack) as gateway:
        refused, verdict = log_in(stack, imei)
        assert verdict == b"\x00"
        refused.close()

        with connect(stack, "test") as connection:
            add_device(connection, NewDevice(imei, VIN), "test")
        device, verdict = log_in(stack, imei)
        assert verdict == b"\x01"
        for frame, count in zip(FRAMES, (1, 2, 1), strict=True):
            device.sendall(frame)
            assert device.recv(4) == count.to_bytes(4)
        assert stored_frames(stack, imei, len(FRAMES)) == FRAMES

        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(20) == 0
        assert device.recv(1) == b""
        device.close()
        assert gateway.stderr is not None
        log = gateway.stderr.read()
        assert json.loads(log.splitlines()[-1])["acknowledged_frames"] == 3
        assert imei not in log


def test_a_second_gateway_on_the_port_ends_with_one_sentence(stack: Settings):
    with running_gateway(stack):
        second = subprocess.run(
            [sys.executable, "-m", "cli.main", "gateway"],
            env=environment(stack),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 2
        assert "PISTON_GATEWAY_PORT" in second.stderr.splitlines()[-1]
        assert "Traceback" not in second.stderr
