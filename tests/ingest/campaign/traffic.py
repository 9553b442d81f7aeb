"""What the trackers of a campaign say: pure, and the same for the same seed.

A car goes through every kind of alert over and over, and knows which it has caused, worked out from its own
story and not by the rules of `ingest.alerts`. Its packets are what devices do: several records, newest first
or in no order, some of the packet before once more, a whole packet again, a late record now and then.

A forgetful car is a device that sometimes loses what was not acknowledged. It raises no alerts, because
nobody can say whether what it lost counts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from ingest.codec8.encoding import encode_avl
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement

CODECS: Final = (CodecId.CODEC_8, CodecId.CODEC_8_EXTENDED, CodecId.CODEC_16)
STEP_MS: Final = 3_000
"""Between two records, by the device's clock: the story runs fast."""
STORY: Final = 60
"""Records until the story begins again."""

_SIZES: Final = (1, 1, 2, 2, 3, 5, 8)
_REPEAT, _OVERLAP, _LATE, _BACKLOG = 0.03, 0.15, 0.06, 0.01
_BACKLOG_RECORDS: Final = 60
_HARSH_KINDS: Final = {1: "acceleration", 2: "braking", 3: "cornering"}


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest record of a car, as the live state has to tell it."""

    time_ms: int
    latitude_raw: int
    longitude_raw: int
    battery_mv: int


def alert_id(imei: str, time_ms: int, kind: str, code: str) -> str:
    """The name of an alert, as docs/decisions and the architecture fix it; on purpose not the project's."""
    return hashlib.sha256(f"{imei}|{time_ms}|{kind}|{code}".encode()).hexdigest()[:32]


class Car:
    """One car with its tracker."""

    def __init__(self, seed: int, number: int, start_ms: int) -> None:
        self.imei = f"001{number:012d}"
        self.vin = f"0VE{number:014d}"
        self.codec = CODECS[number % len(CODECS)]
        self.is_udp = number % 5 == 4
        self.is_forgetful = number % 10 == 7
        self.alerts: set[str] = set()
        self.newest: Newest | None = None
        self._random = Random(f"{seed}/{number}")
        self._start_ms = start_ms
        self._number = 0
        self._late_count = 0
        self._metres = 1_000_000_000
        self._packet: tuple[AvlRecord, ...] = ()
        self._last: tuple[AvlRecord, ...] = ()

    def packet(self) -> bytes:
        """The data field of the next packet."""
        chance = self._random.random
        if self._packet and chance() < _REPEAT:
            return encode_avl(AvlPacket(self.codec, self._packet))
        size = _BACKLOG_RECORDS if chance() < _BACKLOG else self._random.choice(_SIZES)
        overlap = self._last if chance() < _OVERLAP else ()
        late = (self._late_record(),) if self._packet and chance() < _LATE else ()
        fresh = tuple(self._record() for _ in range(size))
        self._last = fresh[-3:]
        self._packet = self._ordered([*overlap, *fresh, *late])
        return encode_avl(AvlPacket(self.codec, self._packet))

    def _ordered(self, records: list[AvlRecord]) -> tuple[AvlRecord, ...]:
        order = self._random.randrange(4)
        if order == 0:
            self._random.shuffle(records)
        elif order < 3:
            records.reverse()  # much hardware sends the newest first
        return tuple(records)

    def _record(self) -> AvlRecord:
        number, self._number = self._number, self._number + 1
        time_ms = self._start_ms + number * STEP_MS
        phase, turn = number % STORY, number // STORY
        battery_mv = 12_400 + number % 300
        event, story = 0, []
        if not self.is_forgetful:
            if 20 <= phase < 43:
                battery_mv = 11_500
            event, story = self._story(phase, turn, time_ms)
        self._metres += -50_000 if phase == 7 and not self.is_forgetful else 10
        io = [
            IoElement(239, 1, 1),
            IoElement(66, 2, battery_mv),
            IoElement(16, 4, self._metres),
            IoElement(11, 8, number),
            *story,
        ]
        longitude_raw, latitude_raw = -837_000_000 + 10 * number, 422_800_000 + 7 * number
        self.newest = Newest(time_ms, latitude_raw, longitude_raw, battery_mv)
        return self._build(time_ms, event, io, longitude_raw, latitude_raw)

    def _story(self, phase: int, turn: int, time_ms: int) -> tuple[int, list[IoElement]]:
        """The event and the elements of a record, with what it has to cause."""
        event, io = 0, []
        if self.codec is CodecId.CODEC_8_EXTENDED:
            io.append(IoElement(281, 0, b"P0300,P0171" if 5 <= phase < 35 else b"P0171"))
            if phase == 0 and turn == 0:
                self._expect(time_ms, "dtc_new", "P0171")
            if phase in (5, 35):
                self._expect(time_ms, "dtc_new" if phase == 5 else "dtc_cleared", "P0300")
            if phase in (50, 51):
                io.append(IoElement(256, 0, self.vin.encode() if phase == 51 else b"0VE99999999999999"))
            if phase == 50:
                self._expect(time_ms, "vin_mismatch", "256")
        if phase == 7:
            self._expect(time_ms, "odometer_backwards", "gnss")
        if phase == 40:  # low for a minute
            self._expect(time_ms, "low_battery", "12v")
        for at, avl_id, value, kind, code in (
            (3, 253, 2, "harsh_event", "braking"),
            (9, 252, 1, "unplug", "unplug"),
            (11, 246, 1, "towing", "towing"),
            (45, 247, 1, "crash", "1"),
        ):
            if phase == at:
                event = avl_id
                io.append(IoElement(avl_id, 1, value))
                self._expect(time_ms, kind, code)
        return event, io

    def _late_record(self) -> AvlRecord:
        """One from before the story's present, whose voltage and mileage would raise alerts in their time."""
        self._late_count += 1
        second = self._random.randrange(-3600, (self._number - 1) * STEP_MS // 1000)
        time_ms = self._start_ms + second * 1000 + 1 + self._late_count % 999
        event, io = 0, [IoElement(11, 8, self._late_count)]
        if not self.is_forgetful:  # what it lost may make this one the newest
            io += [IoElement(66, 2, 10_000), IoElement(16, 4, self._late_count)]
            if self._random.random() < 0.5:
                event, kind = 253, self._random.choice(sorted(_HARSH_KINDS))
                io += [IoElement(253, 1, kind), IoElement(254, 1, 40)]
                self._expect(time_ms, "harsh_event", _HARSH_KINDS[kind])
        return self._build(time_ms, event, io, 0, 0)

    def _build(
        self, time_ms: int, event: int, io: Sequence[IoElement], longitude_raw: int, latitude_raw: int
    ) -> AvlRecord:
        return AvlRecord(
            timestamp_ms=time_ms,
            priority=1 if event else 0,
            longitude_raw=longitude_raw,
            latitude_raw=latitude_raw,
            altitude_m=-3,
            angle_deg=90,
            satellites=9,
            speed_kph=50,
            event_io_id=event,
            generation_type=event % 8 if self.codec is CodecId.CODEC_16 else None,
            io=tuple(io),
        )

    def _expect(self, time_ms: int, kind: str, code: str) -> None:
        self.alerts.add(alert_id(self.imei, time_ms, kind, code))
