"""Factories for messages, records and registries, each with sensible values that a test overrides."""

import itertools
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement
from ingest.registry.timeline import (
    SINCE_EVER_MS,
    UNTIL_FOREVER_MS,
    Installation,
    InstallationTimeline,
)
from ingest.stream.messages import Headers, Transport, encode_headers
from ingest.stream.reading_form import parse_reading
from ingest.stream.readings import encode_reading, encode_reading_headers
from telematics.clock import epoch_ms
from telematics.names import OdometerSource, Origin, Topic

NOON_MS = epoch_ms(datetime(2025, 3, 14, 12, tzinfo=UTC))

# Tests share their servers: numbers of one test run are apart from those of every other.
_DEVICES = itertools.count(secrets.randbelow(10**9) * 100)
_OFFSETS = itertools.count(secrets.randbelow(10**9))


def fresh_imei() -> str:
    return f"001{next(_DEVICES):012d}"[:15]


def fresh_vin() -> str:
    return f"0VE{next(_DEVICES):014d}"[:17]


def fresh_offset() -> int:
    """The first of a thousand offsets that nobody else uses."""
    return next(_OFFSETS) * 1000


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """A Kafka message as a consumer delivers it."""

    _topic: str
    _partition: int
    _offset: int
    _key: bytes | None
    _value: bytes | None
    _headers: Headers | None

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Headers | None:
        return self._headers


def make_record(time_ms: int = NOON_MS, io: Iterable[IoElement] = (), **overrides: int) -> AvlRecord:
    values = {
        "priority": 0,
        "longitude_raw": -837_000_000,
        "latitude_raw": 422_800_000,
        "altitude_m": 250,
        "angle_deg": 90,
        "satellites": 9,
        "speed_kph": 50,
        "event_io_id": 0,
        **overrides,
    }
    return AvlRecord(timestamp_ms=time_ms, generation_type=None, io=tuple(io), **values)


def make_frame(*records: AvlRecord) -> bytes:
    return encode_tcp_frame(AvlPacket(CodecId.CODEC_8_EXTENDED, records))


def make_message(
    value: bytes | None,
    *,
    imei: str = "001000000000017",
    offset: int = 0,
    partition: int = 0,
    received_at_ms: int = NOON_MS + 1000,
    topic: str = Topic.AVL_FRAMES,
) -> FakeMessage:
    headers = encode_headers(received_at_ms, Transport.TCP)
    return FakeMessage(topic, partition, offset, imei.encode(), value, headers)


def make_reading_message(
    document: object = None,
    *,
    key: bytes | None = b"001000000000017",
    vin: str = "0VE00000000000017",
    offset: int = 0,
    partition: int = 0,
    received_at_ms: int = NOON_MS + 1000,
    value: bytes | None = None,
) -> FakeMessage:
    """A posted reading; `value` overrides what the document would be."""
    if value is None:
        given = {"timestamp": "2025-03-14T12:00:00Z", "speed_mph": 45} if document is None else document
        value = encode_reading(parse_reading(given, vin))
    return FakeMessage(Topic.READINGS, partition, offset, key, value, encode_reading_headers(received_at_ms))


def make_installation(imei: str = "001000000000017", **overrides: object) -> Installation:
    values = {
        "installation_id": 1,
        "imei": imei,
        "vin": "0VE00000000000017",
        "origin": Origin.RECORDED,
        "start_ms": SINCE_EVER_MS,
        "end_ms": UNTIL_FOREVER_MS,
        "odometer_source": OdometerSource.GNSS,
        **overrides,
    }
    return Installation(**values)  # type: ignore[arg-type]  # a factory's overrides


def make_registry(*installations: Installation, family: str = "OBD") -> InstallationTimeline:
    return InstallationTimeline({item.imei: family for item in installations}, installations)
