"""Frames as the reference figures were measured with: always the same ones, whoever runs it.

1,000 device layouts, 60 % Codec 8 Extended and 40 % Codec 8, 18 IO elements per record: the 13 that an OBD
tracker sends in every record and that have columns of their own, and 5 that differ from device to device and
mostly have none. *Batch* has 1 to 30 records in a frame, which is a device that empties its memory; *live*
has 1.4 on average.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement
from telematics.avl.dictionary import elements

DEVICE_COUNT: Final = 1000
ELEMENT_COUNT: Final = 18
FAMILY: Final = "OBD"

_EXTENDED_SHARE: Final = 0.6
_SEED: Final = 20_250_314
_START_MS: Final = 1_741_953_600_000  # 2025-03-14T12:00Z
_MAX_CODEC_8_ID: Final = 255
_USUAL_IDS: Final = (16, 30, 31, 32, 33, 36, 40, 48, 53, 66, 182, 239, 240)
"""Odometer, trouble codes, load, coolant, trim, rpm, air flow, fuel, ambient, voltage, HDOP, two flags."""
_FLAG_IDS: Final = (239, 240)
_DTC_COUNT_ID: Final = 30


class Traffic(StrEnum):
    """How many records a frame has."""

    BATCH = "batch"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Workload:
    """Frames with the device that sent each, and the number of records in all of them."""

    frames: Sequence[bytes]
    imeis: Sequence[str]
    record_count: int

    @property
    def byte_count(self) -> int:
        """Bytes of all frames."""
        return sum(map(len, self.frames))


@dataclass(frozen=True, slots=True)
class Layout:
    """What one device sends: its codec, and (AVL id, width) of each element in the order of the wire."""

    codec: CodecId
    imei: str
    keys: tuple[tuple[int, int], ...]


def build_workload(traffic: Traffic, frame_count: int, shift_ms: int = 0) -> Workload:
    """Frames of 1,000 devices that take turns.

    Args:
        traffic: how many records a frame has.
        frame_count: how many frames.
        shift_ms: added to every record's time, so that the same frames are other records.
    """
    chance = random.Random(_SEED)
    layouts = build_layouts(chance)
    frames: list[bytes] = []
    imeis: list[str] = []
    record_count, start_ms = 0, _START_MS + shift_ms
    for number in range(frame_count):
        layout = layouts[number % DEVICE_COUNT]
        size = packet_size(traffic, chance)
        records = tuple(
            _record(layout, start_ms + (number * 64 + place) * 1000, chance) for place in range(size)
        )
        frames.append(encode_tcp_frame(AvlPacket(layout.codec, records)))
        imeis.append(layout.imei)
        record_count += size
    return Workload(frames, imeis, record_count)


def build_layouts(chance: random.Random) -> list[Layout]:
    """The layouts of all devices."""
    return [_layout(number, chance) for number in range(DEVICE_COUNT)]


def packet_size(traffic: Traffic, chance: random.Random) -> int:
    """How many records the next frame has."""
    if traffic is Traffic.BATCH:
        return chance.randint(1, 30)
    return chance.choices((1, 2, 3), (0.7, 0.2, 0.1))[0]


def _layout(number: int, chance: random.Random) -> Layout:
    codec = CodecId.CODEC_8_EXTENDED if chance.random() < _EXTENDED_SHARE else CodecId.CODEC_8
    largest = 2**16 if codec is CodecId.CODEC_8_EXTENDED else _MAX_CODEC_8_ID
    known = {key for key in elements(FAMILY) if key[1] and key[0] <= largest}
    usual = [key for key in sorted(known) if key[0] in _USUAL_IDS]
    others = sorted(known.difference(usual))
    keys = usual + chance.sample(others, ELEMENT_COUNT - len(usual))
    return Layout(codec, f"359{number:012d}", tuple(sorted(keys, key=lambda key: (key[1], key[0]))))


def _record(layout: Layout, time_ms: int, chance: random.Random) -> AvlRecord:
    return AvlRecord(
        timestamp_ms=time_ms,
        priority=chance.choice((0, 0, 0, 1)),
        longitude_raw=chance.randint(-1_250_000_000, -700_000_000),
        latitude_raw=chance.randint(250_000_000, 490_000_000),
        altitude_m=chance.randint(-80, 3500),
        angle_deg=chance.randint(0, 359),
        satellites=chance.randint(0, 20),
        speed_kph=chance.randint(0, 130),
        event_io_id=chance.choice((0, 0, 0, 239)),
        io=tuple(IoElement(avl_id, width, _raw(avl_id, width, chance)) for avl_id, width in layout.keys),
    )


def _raw(avl_id: int, width: int, chance: random.Random) -> int:
    if avl_id == _DTC_COUNT_ID:
        return 0
    return chance.getrandbits(1 if avl_id in _FLAG_IDS else 8 * width)
