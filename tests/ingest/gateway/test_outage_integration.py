"""The broker stands still, or is killed: devices wait, nothing is acknowledged, grows or is lost."""

import asyncio
import os
import select
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from ingest.codec8.encoding import encode_udp_acknowledgement, encode_udp_datagram, wrap_tcp
from ingest.codec8.records import AvlPacket, CodecId, UdpDatagram
from ingest.registry.models import NewDevice
from ingest.registry.repository import connect, register_fleet
from ingest.stream.log_spans import partitions_of, read_spans
from ingest.stream.messages import decode_frame
from stack.layout import Layout
from stack.supervision import Supervisor
from telematics.names import Topic
from telematics.settings import Settings
from tests.ingest.codec8 import wire
from tests.ingest.services import ServiceProcess, free_port, service, wait_for_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

DELIVERY_S = 2.0
"""The outage outlasts it, so that frames fail and are sent again."""
IDLE_S = 4.0
"""The outage outlasts this as well: a device that we keep waiting is no silent one."""
CALM, GREEDY = 12, 4
UDP_IDS = 0xCAFE, 7
GROWTH_MIB = 48
"""Of the gateway, while devices try to send far more. Measured: 2 to 8; librdkafka may hold 1 MiB, each
connection 32 frames and one read of 256 KiB."""
OFFER_BYTES = 96 * 2**20
PATIENCE_S = 90.0
"""A killed broker is back in 3 to 6 s, and in 40 on a machine that does twenty other things."""


RECORD = bytes.fromhex(wire.RECORD_8)


def make_frame(number: int, record_count: int = 1) -> bytes:
    records = (1_760_000_000_000 + number).to_bytes(8) + RECORD[8:] + RECORD * (record_count - 1)
    return wrap_tcp(bytes([8, record_count]) + records + bytes([record_count]))


def stand_still(pid: int) -> Callable[[], None]:
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def be_killed(pid: int) -> Callable[[], None]:
    os.kill(pid, signal.SIGKILL)
    return lambda: None  # the supervisor starts it anew


class Device:
    """A tracker on a socket that never blocks; sends without waiting, as far as it is let."""

    def __init__(self, settings: Settings, imei: str) -> None:
        self.imei = imei
        self.sent: list[bytes] = []
        self.is_closed = False
        self._rest = b""
        self._heard = bytearray()
        self.socket = socket.create_connection((settings.gateway_host, settings.gateway_port), timeout=20)
        self.socket.sendall(b"\x00\x0f" + imei.encode())
        assert self.socket.recv(1) == b"\x01"
        self.socket.setblocking(False)

    def offer(self, frame: bytes) -> bool:
        """Begin to send a frame; False if the socket takes nothing now."""
        self.flush()
        if self._rest:
            return False
        self._rest = frame
        self.sent.append(frame)
        self.flush()
        return True

    def flush(self) -> None:
        try:
            while self._rest and not self.is_closed:
                self._rest = self._rest[self.socket.send(self._rest) :]
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True

    def acknowledged(self) -> int:
        """How many frames are acknowledged by now."""
        with suppress(BlockingIOError):
            while part := self.socket.recv(65_536):
                self._heard += part
            self.is_closed = True
        counts = b"".join(frame[9].to_bytes(4) for frame in self.sent)
        assert counts.startswith(bytes(self._heard)), "an acknowledgement out of order"
        return len(self._heard) // 4


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def until_all_acknowledged(devices: list[Device], gateway: ServiceProcess) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        select.select([device.socket for device in devices], [], [], 0.2)
        for device in devices:
            device.flush()
        owed = [device for device in devices if device.acknowledged() < len(device.sent)]
        if not owed:
            return
        assert not any(device.is_closed for device in owed), gateway.last_words()
    raise AssertionError(gateway.last_words())


def until_answered(udp: socket.socket, datagram: bytes) -> bytes:
    """The answer to a datagram that its device sends again and again."""
    udp.settimeout(0.5)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        udp.send(datagram)
        with suppress(TimeoutError):
            return udp.recv(64)
    raise AssertionError


def stored_frames(settings: Settings, imeis: set[str]) -> dict[str, set[bytes]]:
    """Every frame of these devices that Kafka has."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": f"test.{min(imeis)}"})
    found: dict[str, set[bytes]] = defaultdict(set)
    with closing(consumer):
        spans = read_spans(settings.kafka_bootstrap, partitions_of(Topic.AVL_FRAMES), 20)
        ends = {number: span.end for (_, number), span in spans.items()}
        consumer.assign([TopicPartition(Topic.AVL_FRAMES, number, 0) for number in ends])
        deadline = time.monotonic() + PATIENCE_S
        while ends and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                if message.key() and message.key().decode() in imeis:
                    found[message.key().decode()].add(decode_frame(message).frame)
            places = {place.partition: place.offset for place in consumer.position(consumer.assignment())}
            ends = {number: end for number, end in ends.items() if places.get(number, -1) < end and end}
    return found


@pytest.fixture
def settings(stack: Settings) -> Settings:
    return stack.model_copy(
        update={
            "gateway_port": free_port(),
            "gateway_delivery_timeout_s": DELIVERY_S,
            "gateway_idle_timeout_s": IDLE_S,
            "gateway_queue_kbytes": 1024,
            "gateway_max_frames_per_s": 0.0,
            "ask_version": False,
        }
    )


@pytest.fixture
def imeis(settings: Settings) -> list[str]:
    first = time.time_ns() % 10**12
    digits = [f"35{first + number:013d}" for number in range(CALM + GREEDY + 2)]
    devices = [NewDevice(imei, f"1HGCM826{int(imei) % 10**9:09d}") for imei in digits]
    with connect(settings, "test") as connection:
        register_fleet(connection, devices, "test")
    return digits


@pytest.fixture
def kafka_pid(stack: Settings) -> Iterator[int]:
    """Kafka of this session; it is there again afterwards."""
    supervisor = Supervisor(Layout.of(stack))
    pid = supervisor.states()["kafka"].pid
    yield pid
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("outage", [stand_still, be_killed])
def test_while_the_broker_is_gone_devices_wait_and_afterwards_nothing_is_missing(
    settings: Settings, imeis: list[str], kafka_pid: int, outage: Callable[[int], Callable[[], None]],
    tmp_path: Path,
):  # fmt: skip
    udp_imei, newcomer, *others = imeis
    with service("gateway", settings, tmp_path) as gateway, ExitStack() as opened:
        asyncio.run(wait_for_port(settings.gateway_port, gateway))
        devices = [Device(settings, imei) for imei in others]
        for device in devices:
            opened.callback(device.socket.close)
            device.offer(make_frame(0))
        until_all_acknowledged(devices, gateway)
        before_mib = resident_mib(gateway.pid)

        end_outage = outage(kafka_pid)
        began = time.monotonic()
        calm, greedy = devices[:CALM], devices[CALM:]
        late = Device(settings, newcomer)
        opened.callback(late.socket.close)
        devices.append(late)
        for device in (*calm, late):
            device.offer(make_frame(1))
        udp = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.connect((settings.gateway_host, settings.gateway_port))
        packet = AvlPacket(CodecId.CODEC_8, ())
        datagram = encode_udp_datagram(UdpDatagram(*UDP_IDS, udp_imei, packet))
        udp.send(datagram)
        udp.setblocking(False)
        offered = 0
        while time.monotonic() - began < 1.3 * IDLE_S:
            frame = make_frame(offered, 200)
            taken = sum(device.offer(frame) for device in greedy)
            offered += taken * len(frame)
            if not taken:
                time.sleep(0.02)
        assert len(make_frame(0, 200)) < offered < OFFER_BYTES, "it stops reading what it cannot hand on"
        assert [device.acknowledged() for device in devices] == [1] * (CALM + GREEDY) + [0]
        assert not any(device.is_closed for device in devices), f"sockets stay\n{gateway.last_words()}"
        with pytest.raises(BlockingIOError):
            udp.recv(64)
        assert resident_mib(gateway.pid) - before_mib < GROWTH_MIB

        end_outage()
        until_all_acknowledged(devices, gateway)
        assert until_answered(udp, datagram) == encode_udp_acknowledgement(*UDP_IDS, 0)
        stored = stored_frames(settings, set(imeis))
        assert stored == {device.imei: set(device.sent) for device in devices} | {udp_imei: {datagram}}
        assert gateway.stop() == 0
