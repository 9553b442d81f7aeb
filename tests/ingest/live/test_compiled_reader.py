"""Both readers say the same of every batch, whatever its messages hold and whatever was known before."""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import orjson
import pytest

from ingest.alerts import memory
from ingest.alerts.alert import Alert, Kind
from ingest.alerts.memory import EMPTY, Encoded, Memory, Subject
from ingest.alerts.packed import MAX_CODES
from ingest.codec8.encoding import encode_tcp_frame, encode_udp_datagram
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement, UdpDatagram
from ingest.live.compiled_reader import CompiledReader
from ingest.live.reading import BatchReader, ReferenceReader
from ingest.registry.timeline import Installation, InstallationTimeline
from ingest.stream.messages import Transport, encode_headers
from ingest.stream.readings import PARTNER_PREFIX
from telematics.avl.dictionary import Family
from telematics.names import OdometerSource, Origin, Topic
from tests.ingest.batch.frames import damage, make_packet
from tests.ingest.batch.frames import make_frame as make_any_frame
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    make_frame,
    make_installation,
    make_message,
    make_reading_message,
    make_record,
    make_registry,
)

TOPIC = Topic.AVL_FRAMES.value
FAMILIES = [family.value for family in Family]
IMEIS = [f"00100000000{number:04d}" for number in range(2 * len(FAMILIES) + 2)]
STRANGER = "001000000009999"
SHARED_VIN = "0VE00000000000099"
"""Two devices sit in it at once."""
PARTNER_VIN = "0VE00000000000098"
ORIGINS = {SHARED_VIN: Origin.LIVE, PARTNER_VIN: Origin.RECORDED}
PARTITIONS = 3
INCARNATIONS = {
    (topic.value, number): f"{topic.value[10]}-{min(number, 1)}"
    for topic in (Topic.AVL_FRAMES, Topic.READINGS)
    for number in range(PARTITIONS)
}


def make_timeline() -> InstallationTimeline:
    """Two devices of each family, one of each two moved at noon and back; and two that share a car."""
    families = dict(zip(IMEIS, [*FAMILIES, *FAMILIES, "OBD", "CAN"], strict=True))
    installations: list[Installation] = []
    for number, imei in enumerate(families):
        sources = [None, *OdometerSource]
        common = {"imei": imei, "odometer_source": sources[number % 4]}
        if imei in IMEIS[-2:]:
            installations.append(make_installation(**common, installation_id=3 * number, vin=SHARED_VIN))
        elif number % 2:
            installations.append(
                make_installation(**common, installation_id=3 * number, vin=f"0VE{number:014d}")
            )
        else:
            first, second = f"1VE{number:014d}", f"2VE{number:014d}"
            ends = [(first, {"end_ms": NOON_MS}), (second, {"start_ms": NOON_MS, "end_ms": NOON_MS + 20_000})]
            ends.append((first, {"start_ms": NOON_MS + 30_000}))
            installations += [
                make_installation(**common, **span, installation_id=3 * number + place, vin=vin)
                for place, (vin, span) in enumerate(ends)
            ]
    return InstallationTimeline(families, installations)


TIMELINE = make_timeline()


class World:
    """A reader with a Redis of its own, which takes what the reader says."""

    def __init__(self, make: type[CompiledReader] | type[ReferenceReader]) -> None:
        self.stored: dict[Subject, bytes] = {}
        self.reader: BatchReader = make(self.recall, self.origins)

    def recall(self, subjects: Collection[Subject]) -> dict[Subject, Memory]:
        return {
            subject: memory.decode(self.stored[subject]) if subject in self.stored else EMPTY
            for subject in subjects
        }

    def origins(self, vins: Collection[str]) -> dict[str, Origin]:
        return {vin: ORIGINS[vin] for vin in vins if vin in ORIGINS}

    def take(self, memories: Mapping[Subject, Encoded]) -> None:
        self.stored |= {subject: b"|".join(encoded) for subject, encoded in memories.items()}
        self.reader.settled()


COMPILED = World(CompiledReader)
"""Its machine code is loaded once."""


class Pair:
    """Both readers, batch after batch."""

    def __init__(self, registry: InstallationTimeline = TIMELINE) -> None:
        self.registry = registry
        self.compiled, self.reference = COMPILED, World(ReferenceReader)
        self.compiled.stored.clear()
        self.compiled.reader.forget()
        self.alerts: list[Alert] = []

    def forget(self) -> None:
        self.compiled.reader.forget()
        self.reference.reader.forget()

    def read(self, messages: Sequence[FakeMessage], *, is_lost: bool = False) -> list[Alert]:
        """Compare; and take over what was said, unless it is lost on the way to Redis."""
        ours = self.compiled.reader.read(messages, self.registry, INCARNATIONS)
        theirs = self.reference.reader.read(messages, self.registry, INCARNATIONS)
        assert ours.alerts == theirs.alerts
        assert ours.offers == theirs.offers
        assert readable(ours.memories) == readable(theirs.memories)
        assert sorted(ours.received_at_ms) == sorted(theirs.received_at_ms)
        for name in ("undecodable", "record_count", "ignored_count", "repeated_count"):
            assert getattr(ours, name) == getattr(theirs, name), name
        if is_lost:
            self.forget()
            return []
        self.compiled.take(ours.memories)
        self.reference.take(theirs.memories)
        self.alerts += theirs.alerts
        return theirs.alerts

    def reference_count(self) -> int:
        assert isinstance(self.compiled.reader, CompiledReader)
        return self.compiled.reader.reference_count


def readable(memories: Mapping[Subject, Encoded]) -> dict[Subject, object]:
    return {
        subject: (encoded.topic_id, encoded.position, orjson.loads(encoded.state))
        for subject, encoded in memories.items()
    }


CODE_LISTS = (
    b"", b"P0300", b"P0300,P0171", b"P0171,P0300", b"p0300, P0171", b"P0300,,P0300\0\0", b"P0171\0,P0300",
    b"P0300-1A-2B-3C-4D", b"P0300-1A-2B-3C-4", b"\x85P0300", b"P0300;P0171", b",", b"\0\0",
    b",".join(b"P%04d" % number for number in range(MAX_CODES)),
    b",".join(b"P%04d" % number for number in range(MAX_CODES + 1)),
)  # fmt: skip
MILLIVOLTS = (0, 5_999, 6_000, 11_799, 11_800, 11_801, 12_199, 12_200, 12_600)


def vins_of(chance: random.Random, imei: str) -> list[bytes]:
    installed = [item.vin.encode() for item in TIMELINE.installations(imei)] or [SHARED_VIN.encode()]
    vin = chance.choice(installed)
    return [
        vin, vin, vin.lower(), vin + b"\0\0", b" " + vin, b"0VE00000000000001", b"", b"\0" * 17, vin[:16],
        vin[:16] + b"\xdf", b"0VE0000000000000O", vin[:8] + b"\0" + vin[9:], vin[:15] + b"\xdf",
    ]  # fmt: skip


def make_drive_record(chance: random.Random, imei: str, second: float, *, is_quiet: bool) -> AvlRecord:
    """A record full of what rules look at; a quiet one mostly repeats what was."""
    time_ms = NOON_MS + int(1000 * second)
    if not is_quiet and chance.random() < 0.05:
        time_ms = chance.choice((0, 946_684_799_999, 946_684_800_000, 2**31 * 1000, 2**63, 2**64 - 1))
    vin = vins_of(chance, imei)[0] if is_quiet else chance.choice(vins_of(chance, imei))
    level = 0 if is_quiet else chance.choice((0, 0, 1, 2))
    parts = [int.from_bytes(part, "big") for part in (vin[:8], vin[8:16], vin[16:17])]
    io = [
        IoElement(281, 0, CODE_LISTS[1] if is_quiet else chance.choice(CODE_LISTS)),
        IoElement(30, 1, chance.choice((0, 0, 2)) if not is_quiet else 1),
        IoElement(66, 2, 12_600 if is_quiet else chance.choice(MILLIVOLTS)),
        IoElement(246, 1, level),
        IoElement(252, 1, level),
        IoElement(247, 1, 0 if is_quiet else chance.choice((0, 0, 1, 2, 6))),
        IoElement(253, 1, 0 if is_quiet else chance.choice((0, 0, 1, 3, 4))),
        IoElement(254, 1, chance.getrandbits(8)),
        *(IoElement(avl_id, 0, vin) for avl_id in (256, 325)),
        *(
            IoElement(avl_id, width, part)
            for avl_id, width, part in zip((233, 234, 235), (8, 8, 1), parts, strict=True)
        ),
        IoElement(16, 4, 100_000 + int(second) if is_quiet else 100_000 + chance.choice((0, 50, -99, -101))),
        IoElement(87, 4, 200_000 + int(second)),
        IoElement(389, 4, chance.choice((300, 301)) if not is_quiet else 300),
        IoElement(48, 1, chance.getrandbits(8)),
        IoElement(89, 1, chance.getrandbits(8)),
        IoElement(182, 2, chance.choice((0, 9, 13, 255, 500))),
        IoElement(239, 1, chance.choice((0, 1, 1, 2))),
        IoElement(240, 1, 1),
    ]
    io = chance.sample(io, chance.randrange(len(io) + 1)) if not is_quiet else io
    if io and not is_quiet and chance.random() < 0.1:
        io.append(chance.choice(io)._replace() if chance.random() < 0.5 else io[0])
    return make_record(
        time_ms,
        sorted(io, key=lambda element: element.width or 9),
        event_io_id=0 if is_quiet else chance.choice((0, 0, 246, 252, 253)),
        satellites=chance.choice((0, 9)),
        longitude_raw=chance.choice((-837_000_000, -1, 1_800_000_000, 1_800_000_001)),
        angle_deg=chance.choice((0, 360, 361)),
        altitude_m=chance.choice((-80, 0, 250)),
        speed_kph=chance.choice((0, 50, 65_535)),
    )


def make_reading(chance: random.Random, imei: str, offset: int) -> FakeMessage:
    document: dict[str, object] = {
        "timestamp": f"2025-03-14T12:00:{chance.randrange(60):02d}.{chance.randrange(1000):03d}Z",
        "speed_mph": chance.randrange(80),
        "odometer": chance.choice((100.0, 100.5, 50.0)),
        "battery_voltage": chance.choice((11.5, 12.6)),
        "dtc_codes": chance.choice(([], ["P0300"], ["P0171", "P0300"])),
        "location": {"lat": 1.5, "lng": -2.25, "accuracy_m": 5},
        "ignition": True,
    }
    wanted = {"timestamp", *chance.sample(sorted(document), 3)}
    key = chance.choice((imei, PARTNER_PREFIX + "one"))
    vin = chance.choice((SHARED_VIN, PARTNER_VIN, "0VE00000000000097"))
    return make_reading_message(
        {name: value for name, value in document.items() if name in wanted},
        key=key.encode(),
        vin=vin,
        offset=offset,
        partition=chance.randrange(PARTITIONS),
        received_at_ms=NOON_MS + 60_000,
        value=b"{}" if chance.random() < 0.1 else None,
    )


def make_stream_message(chance: random.Random, offset: int, second: float) -> FakeMessage:
    imei = chance.choice((*IMEIS, *IMEIS[-2:], STRANGER))
    place = {"imei": imei, "offset": offset, "partition": chance.randrange(PARTITIONS)}
    place["received_at_ms"] = NOON_MS + chance.choice((600_000, 600_000, -400_000))
    match chance.choices(range(6), (60, 6, 3, 3, 3, 3))[0]:
        case 0:
            count = 255 if chance.random() < 0.002 else chance.choice((1, 1, 2, 4))
            is_quiet = chance.random() < 0.3
            records = [
                make_drive_record(chance, imei, second + chance.uniform(-40, 5), is_quiet=is_quiet)
                for _ in range(count)
            ]
            frame = make_frame(*records)
            return make_message(frame if chance.random() < 0.95 else damage(chance, frame), **place)
        case 1:
            return make_message(encode_tcp_frame(make_packet(chance)), **place)
        case 2:
            return make_message(damage(chance, make_any_frame(chance)), **place)
        case 3:
            packet = AvlPacket(
                CodecId.CODEC_8_EXTENDED, (make_drive_record(chance, imei, second, is_quiet=False),)
            )
            named = imei if chance.random() < 0.8 else STRANGER
            headers = encode_headers(NOON_MS + 60_000, Transport.UDP)
            datagram = encode_udp_datagram(UdpDatagram(1, 1, named, packet))
            return FakeMessage(TOPIC, 0, offset, imei.encode(), datagram, headers)
        case 4:
            return make_reading(chance, imei, offset)
        case _:
            return FakeMessage(TOPIC, 0, offset, chance.choice((None, b"x", imei.encode())), b"", None)


def drive_through(seed: int, batch_count: int) -> Counter[str]:
    """Batches with repetitions, losses and forgetting in between."""
    chance, pair = random.Random(seed), Pair()
    past: list[FakeMessage] = []
    counts: Counter[str] = Counter()
    offset, before = 0, pair.reference_count()
    for number in range(batch_count):
        messages = []
        for _ in range(chance.choice((1, 5, 40))):
            offset += 1
            messages.append(make_stream_message(chance, offset, 20.0 * number))
        repeated = chance.sample(past, min(len(past), 10)) if chance.random() < 0.3 else []
        is_lost = chance.random() < 0.2
        pair.read([*repeated, *messages], is_lost=is_lost)
        if is_lost:  # the same messages come again
            pair.read([*repeated, *messages])
        elif chance.random() < 0.2:
            pair.forget()
        past += messages
        counts["messages"] += len(messages)
    counts["quiet"] = counts["messages"] - (pair.reference_count() - before)
    counts.update(alert.kind for alert in pair.alerts)
    return counts


def test_both_say_the_same_of_what_devices_send_in_whatever_order_and_however_often() -> None:
    counts: Counter[str] = Counter()
    for seed in range(12):
        counts += drive_through(seed, 25)
    assert set(counts) == {"messages", "quiet", *Kind}, "something never occurred"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_both_say_the_same_for_long(seed: int) -> None:
    drive_through(seed, 120)


def quiet(imei: str, offset: int, *seconds: float) -> FakeMessage:
    chance = random.Random(1)
    records = [make_drive_record(chance, imei, second, is_quiet=True) for second in seconds]
    return make_message(make_frame(*records), imei=imei, offset=offset, received_at_ms=NOON_MS + 60_000)


def test_a_drive_in_which_nothing_happens_is_not_the_references_business() -> None:
    pair = Pair()
    imeis = IMEIS[1:6:2]
    pair.read([quiet(imei, number, 0) for number, imei in enumerate(imeis)])
    before = pair.reference_count()
    for offset in range(1, 20):
        assert pair.read([quiet(imei, 10 * offset, offset, offset - 0.5) for imei in imeis]) == []
    assert pair.reference_count() == before


def test_a_state_that_does_not_fit_is_the_references_business_and_goes_on() -> None:
    imei = IMEIS[1]
    (installation,) = TIMELINE.installations(imei)
    subject = Subject(installation.vin, imei)
    for state in (
        b'{"dtc":[5,["P0300","P0171"]]}', b'{"odometer:gnss":[5,1.5]}', b'{"voltage":[5,[null,0]]}',
        b'{"vin:256":[5,"short"]}', b'{"towing":[5,1]}', b'{"new_signal":[5,1]}', b'{"dtc":[5,null]}',
        b'{"dtc":[5,["' + b'","'.join(b"P%04d" % number for number in range(9)) + b'"]]}',
    ):  # fmt: skip
        pair = Pair()
        for world in (pair.compiled, pair.reference):
            world.stored[subject] = b"a-0|%019d|%b" % (3, state)
        pair.read([quiet(imei, 7, 0)])
        pair.read([quiet(imei, 8, 1)])


def test_a_log_that_was_shortened_is_another_incarnation_whose_frames_count() -> None:
    pair = Pair()
    pair.read([quiet(IMEIS[1], 1000, 0)])
    assert pair.read([quiet(IMEIS[1], 5, 1)]) == []
    key = Subject(TIMELINE.installations(IMEIS[1])[0].vin, IMEIS[1])
    held = pair.reference.recall([key])[key]
    INCARNATIONS[TOPIC, 0] += "~1"
    try:
        pair.read([quiet(IMEIS[1], 5, 1)])
        assert pair.reference.recall([key])[key].position < held.position
    finally:
        INCARNATIONS[TOPIC, 0] = INCARNATIONS[TOPIC, 0].removesuffix("~1")


def test_more_devices_than_the_tables_hold_are_numbered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.sink.device_tables._MAX_DEVICES", 3)
    pair = Pair()
    for offset, imei in enumerate(IMEIS * 2):
        pair.read([quiet(imei, offset, offset)])


def test_a_device_that_is_put_into_another_car_moves_that_cars_state() -> None:
    imei, before, after = IMEIS[1], "0VE00000000000031", "0VE00000000000032"
    first = make_registry(make_installation(imei=imei, vin=before), family="OBD")
    pair = Pair(first)
    pair.read([quiet(imei, 1, 0)])
    pair.registry = make_registry(
        make_installation(imei=imei, vin=before, end_ms=NOON_MS + 1000),
        make_installation(imei=imei, installation_id=9, vin=after, start_ms=NOON_MS + 1000),
        family="OBD",
    )
    pair.read([quiet(imei, 2, 0.5, 2)])
    assert {subject.vin for subject in pair.reference.stored} == {before, after}
