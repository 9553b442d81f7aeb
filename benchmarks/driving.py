"""Frames of a fleet that drives: each record comes once, its clock and its odometer run on.

The layouts are those of `workload`; the values are a quiet drive, because with random ones nearly every
record would be an unplugged, towed and crashed car whose odometer runs backwards. Cut so that many frames
are ready in little time: each device's first frames are encoded, and later ones are copies of them with new
times, new odometers and a new checksum.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.workload import FAMILY, Layout, Traffic, build_layouts, packet_size
from ingest.alerts.facts import readers_of
from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.frames import crc16
from ingest.codec8.records import AvlPacket, AvlRecord, IoElement

FRAMES_EACH: Final = 10
"""Frames of a device that are encoded; the others are copies of these."""
_SEED: Final = 20_250_315
_STEP_MS: Final = 1000
_STEP_M: Final = 20
_ODOMETER_ID: Final = 16
_FIRST_ODOMETER_M: Final = 0x05F5_E100
_STEADY: Final = {239: 1, 240: 1, 30: 0, 48: 60, 66: 14_100, 182: 9}
"""Ignition, movement, no trouble codes, fuel %, 14.1 V, HDOP 0.9."""
_HARSH_ID: Final = 253
_PREAMBLE: Final = 8
_CHECKSUM: Final = 4

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Templates:
    """The first frames of a device as one piece of memory.

    Attributes:
        octets: all frames, one after the other.
        ends: where each frame ends.
        times: where the eight bytes of each record's time begin.
        odometers: where the four bytes of each record's odometer begin.
    """

    octets: bytes
    ends: Sequence[int]
    times: Places
    odometers: Places


def drive_frames(traffic: Traffic, device_count: int, start_ms: int, rounds: int) -> dict[str, list[bytes]]:
    """IMEI → frames in the order of sending, `FRAMES_EACH` for each round.

    Args:
        traffic: how many records a frame has.
        device_count: how many of the workload's devices drive.
        start_ms: time of each device's first record; the others follow a second apart.
        rounds: how often the first frames are taken up again.
    """
    chance = random.Random(_SEED)
    return {
        layout.imei: [*_rounds(_templates(layout, traffic, chance, start_ms), start_ms, rounds)]
        for layout in build_layouts(chance)[:device_count]
    }


def _templates(layout: Layout, traffic: Traffic, chance: random.Random, start_ms: int) -> _Templates:
    silent = {avl_id for avl_id, _ in readers_of(FAMILY)} | {_HARSH_ID}
    others = {
        avl_id: 0 if avl_id in silent else chance.getrandbits(7) for avl_id, width in layout.keys if width
    }
    octets, ends, times, odometers = bytearray(), [], [], []
    count = 0
    for _ in range(FRAMES_EACH):
        first = count
        count += packet_size(traffic, chance)
        records = tuple(_record(layout, others, number, start_ms) for number in range(first, count))
        at = len(octets)
        octets += encode_tcp_frame(AvlPacket(layout.codec, records))
        ends.append(len(octets))
        for number in range(first, count):
            at = octets.index((start_ms + number * _STEP_MS).to_bytes(8), at)
            times.append(at)
            odometers.append(octets.index((_FIRST_ODOMETER_M + number * _STEP_M).to_bytes(4), at))
    return _Templates(bytes(octets), ends, np.array(times, np.int64), np.array(odometers, np.int64))


def _record(layout: Layout, others: dict[int, int], number: int, start_ms: int) -> AvlRecord:
    values = others | _STEADY | {_ODOMETER_ID: _FIRST_ODOMETER_M + number * _STEP_M}
    return AvlRecord(
        timestamp_ms=start_ms + number * _STEP_MS,
        priority=0,
        longitude_raw=-837_430_000 + number * 2000,
        latitude_raw=422_808_000,
        altitude_m=250,
        angle_deg=90,
        satellites=9,
        speed_kph=_STEP_M * 3600 // 1000,
        event_io_id=0,
        io=tuple(IoElement(avl_id, width, values[avl_id]) for avl_id, width in layout.keys),
    )


def _rounds(templates: _Templates, start_ms: int, rounds: int) -> Iterator[bytes]:
    octets = np.frombuffer(templates.octets, np.uint8).copy()
    count = len(templates.times)
    steps = np.arange(count, dtype=np.int64)
    for number in range(rounds):
        passed = steps + number * count
        _put(octets, templates.times, start_ms + passed * _STEP_MS, ">u8")
        _put(octets, templates.odometers, _FIRST_ODOMETER_M + passed * _STEP_M, ">u4")
        written = octets.tobytes()
        start = 0
        for end in templates.ends:
            checked = written[start + _PREAMBLE : end - _CHECKSUM]
            yield written[start : end - _CHECKSUM] + crc16(checked).to_bytes(_CHECKSUM)
            start = end


def _put(octets: NDArray[np.uint8], places: Places, values: NDArray[np.int64], form: str) -> None:
    width = np.dtype(form).itemsize
    octets[places[:, None] + np.arange(width)] = values.astype(form).view(np.uint8).reshape(-1, width)
