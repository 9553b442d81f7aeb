"""Both ways from messages to rows give the same bytes, rejects and counts, whatever the messages hold."""

import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codec8.encoding import encode_command_frame, encode_tcp_frame, encode_udp_datagram
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement, UdpDatagram
from ingest.measurement import column_elements
from ingest.registry.timeline import Installation, InstallationTimeline
from ingest.sink.batch_decoding import BatchFrameDecoder
from ingest.sink.columns import COLUMN_NAMES
from ingest.sink.decoding import DecodedBatch, PythonFrameDecoder
from ingest.stream.messages import Transport, encode_headers
from telematics.avl.dictionary import Family, elements
from telematics.clock import from_epoch_ms, rfc3339_ms
from telematics.names import OdometerSource, Topic
from tests.ingest.batch.frames import damage, make_packet
from tests.ingest.codec8 import strategies, wire
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    make_frame,
    make_installation,
    make_message,
    make_reading_message,
    make_record,
)
from tests.ingest.sink.test_copy_binary import read_fields

BATCH, REFERENCE = BatchFrameDecoder(), PythonFrameDecoder()
FAMILIES = [*(family.value for family in Family), None]
IMEIS = [f"00100000000{number:04d}" for number in range(2 * len(FAMILIES))]
DAY_MS = 86_400_000
EDGES_MS = [0, 946_684_799_999, 946_684_800_000, 4_102_444_799_999, 4_102_444_800_000, 2**64 - 1]
RAWS = [0, 1, 2, 127, 128, 255, 850, 2000, 3000, 4000, 5000, 2**15 - 1, 2**15, 2**16 - 1]
RAWS += [2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]


def make_timeline() -> InstallationTimeline:
    """Two devices of each family and two of none; one of each two moved to another car at noon."""
    families = {imei: family for imei, family in zip(IMEIS, FAMILIES * 2, strict=True) if family is not None}
    installations: list[Installation] = []
    for number, imei in enumerate(families):
        common = {"imei": imei, "installation_id": 2 * number}
        if number % 2:
            installations.append(make_installation(**common, vin=f"0VE{number:014d}", odometer_source=None))
            continue
        installations += [
            make_installation(**common, vin=f"1VE{number:014d}", end_ms=NOON_MS),
            make_installation(
                imei=imei,
                installation_id=2 * number + 1,
                vin=f"2VE{number:014d}",
                start_ms=NOON_MS + 1000,
                odometer_source=list(OdometerSource)[number % 3],
            ),
        ]
    return InstallationTimeline(families, installations)


TIMELINE = make_timeline()
CAN_IMEI = IMEIS[8]
"""Of the CAN family, its odometer undecided."""


def assert_same(
    messages: Sequence[FakeMessage],
    registry: InstallationTimeline = TIMELINE,
    sources: dict[int, OdometerSource] | None = None,
) -> DecodedBatch:
    batch = BATCH.decode(messages, registry, sources or {})
    expected = REFERENCE.decode(messages, registry, sources or {})
    if batch.copy != expected.copy:
        for ours, theirs in zip(read_fields(batch.copy), read_fields(expected.copy), strict=True):
            assert ours == theirs
    assert batch == expected
    return batch


def one(record: AvlRecord, imei: str = IMEIS[1]) -> FakeMessage:
    return make_message(make_frame(record), imei=imei)


def rows_of(batch: DecodedBatch) -> list[dict[str, bytes | None]]:
    return read_fields(batch.copy)


def test_no_messages_are_an_empty_copy() -> None:
    assert assert_same([]).row_count == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_element_of_a_family_with_its_least_greatest_and_odd_values(family: str | None) -> None:
    imei = IMEIS[FAMILIES.index(family)]
    keys = sorted(elements(family)) if family else [(16, 4), (281, 0), (65_000, 8)]
    messages = [
        one(make_record(NOON_MS + 9999 * place + number, [IoElement(avl_id, width, raw % 256**width)]), imei)
        for place, (avl_id, width) in enumerate(keys)
        if width
        for number, raw in enumerate(RAWS)
    ]
    assert assert_same(messages).row_count == len(messages)


@pytest.mark.parametrize("family", [family.value for family in Family])
def test_every_column_of_a_family_is_filled_by_compiled_code(family: str) -> None:
    imei = IMEIS[FAMILIES.index(family)]
    known = column_elements(family)
    keys = sorted(known, key=lambda key: key[1] or 9)
    io = [IoElement(avl_id, width, 1 if width else b"P0300") for avl_id, width in keys]
    (row,) = rows_of(assert_same([one(make_record(io=io), imei=imei)]))
    assert all(row[column] is not None for column, _ in known.values() if column != "dtc_count")


TROUBLE = [
    b"P0300", b"p0300,P0420", b"", b",", b",,P1", b"P0300,", b" P0300", b"P0300 ", b"P0300\0\0", b"\0",
    b"\0P1", b"A" * 16, b"A" * 17, b"\x85,P1", b"\x1cP1", b"P_1", b"P0300;P0420", b"\xb5", b"P1,\t,P2", b"-",
    b"P1" * 300, b"A," * 400,
]  # fmt: skip


@pytest.mark.parametrize("count", [None, 0, 1, 255])
@pytest.mark.parametrize("text", [None, *TROUBLE])
def test_trouble_codes_and_their_count(text: bytes | None, count: int | None) -> None:
    io = [] if count is None else [IoElement(30, 1, count)]
    io += [] if text is None else [IoElement(281, 0, text)]
    assert_same([one(make_record(io=io))])


@pytest.mark.parametrize(
    "io",
    [
        [IoElement(30, 1, 2), IoElement(30, 2, 7)],
        [IoElement(30, 1, 0), IoElement(30, 1, 3), IoElement(30, 1, 4)],
        [IoElement(281, 0, b"P0300"), IoElement(281, 0, b"P0420")],
        [IoElement(281, 0, b"?"), IoElement(281, 0, b"P0420")],
        [IoElement(48, 1, 50), IoElement(89, 1, 60)],
        [IoElement(16, 4, 1000), IoElement(16, 4, 2000)],
        [IoElement(9000, 1, 1), IoElement(9000, 2, 2), IoElement(9001, 1, 1)],
        [IoElement(9000, 0, b""), IoElement(9000, 0, b"\0"), IoElement(9000, 0, b"\xff" * 900)],
        [IoElement(239, 1, 2), IoElement(240, 1, 255)],
        [IoElement(avl_id, 8, 2**64 - 1) for avl_id in range(60_000, 61_000)],
    ],
)
def test_ids_that_come_twice_and_values_without_a_column(io: list[IoElement]) -> None:
    for imei in IMEIS:
        assert_same([one(make_record(io=io), imei=imei)])


@pytest.mark.parametrize(
    "values",
    [
        {"latitude_raw": 900_000_001}, {"longitude_raw": -1_800_000_001}, {"latitude_raw": -(2**31)},
        {"angle_deg": 361}, {"angle_deg": 65_535, "longitude_raw": 2**31 - 1}, {"satellites": 0},
        {"altitude_m": -32_768}, {"priority": 255, "speed_kph": 65_535, "event_io_id": 65_535},
    ],
)  # fmt: skip
def test_positions_off_the_globe_and_other_extremes(values: dict[str, int]) -> None:
    assert_same([one(make_record(io=[IoElement(9000, 1, 1)], **values)), one(make_record(**values))])


def test_a_record_that_comes_again_is_one_row_wherever_it_comes_from() -> None:
    frame = make_frame(make_record(), make_record(NOON_MS + 1), make_record())
    messages = [make_message(frame, imei=imei, offset=number) for number, imei in enumerate(IMEIS[:2] * 2)]
    batch = assert_same(messages)
    assert (batch.row_count, batch.duplicate_count) == (4, 8)


def test_records_that_differ_in_nothing_but_their_event_are_two_rows() -> None:
    messages = [make_message(make_frame(make_record(event_io_id=event)), offset=event) for event in (1, 2)]
    assert assert_same(messages).row_count == 2


@pytest.mark.parametrize("time_ms", EDGES_MS)
def test_times_at_the_edges_of_what_a_row_can_have(time_ms: int) -> None:
    frame = make_frame(make_record(time_ms), make_record(NOON_MS), make_record(time_ms, satellites=3))
    assert_same([make_message(frame, offset=1), make_message(b"", offset=2), make_message(frame, offset=3)])


def test_rejects_of_every_kind_come_in_the_order_of_their_messages() -> None:
    good = make_frame(make_record())
    packet = AvlPacket(CodecId.CODEC_8, (make_record(),))
    other = encode_udp_datagram(UdpDatagram(1, 2, "999999999999999", packet))
    imei = IMEIS[0].encode()
    udp = encode_headers(NOON_MS, Transport.UDP)
    messages = [
        make_message(good[:-1], offset=1),
        make_message(b"{}", topic=Topic.READINGS, offset=2),
        make_message(encode_command_frame("getinfo"), offset=3),
        make_message(make_frame(make_record(0)), offset=4),
        FakeMessage(Topic.AVL_FRAMES, 0, 5, b"nobody", good, None),
        FakeMessage(Topic.AVL_FRAMES, 0, 6, imei, good, []),
        FakeMessage(Topic.AVL_FRAMES, 0, 7, imei, good, encode_headers(10**15, Transport.TCP)),
        FakeMessage(Topic.AVL_FRAMES, 0, 8, imei, good, encode_headers(5, Transport.TCP)),
        FakeMessage(Topic.AVL_FRAMES, 0, 9, imei, other, udp),
        FakeMessage(Topic.AVL_FRAMES, 0, 10, imei, other[:-1], udp),
        FakeMessage(Topic.AVL_FRAMES, 0, 11, imei, None, udp),
        FakeMessage(Topic.AVL_FRAMES, 3, 2**44 - 1, imei, good, dict(udp)),
    ]
    batch = assert_same(messages)
    assert [reject.offset for reject in batch.rejects] == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 2**44 - 1]


@pytest.mark.parametrize(("partition", "offset"), [(512, 0), (0, 2**44), (0, -1)])
def test_a_place_that_no_stream_position_holds_is_an_error_of_both(partition: int, offset: int) -> None:
    message = make_message(make_frame(make_record()), partition=partition, offset=offset)
    for decoder in (BATCH, REFERENCE):
        with pytest.raises(ValueError, match="stream position"):
            decoder.decode([message], TIMELINE, {})


def test_datagrams_are_rows_like_frames() -> None:
    imei = "356307042441013"
    headers = encode_headers(NOON_MS, Transport.UDP)
    datagram = wire.udp(wire.avl_data("8E", wire.RECORD_8E))
    messages = [FakeMessage(Topic.AVL_FRAMES, 0, n, imei.encode(), datagram, headers) for n in range(2)]
    batch = assert_same(messages)
    assert (batch.row_count, batch.duplicate_count) == (1, 1)


def test_the_reference_builds_rows_out_of_the_ordinary_and_no_others() -> None:
    ordinary = [IoElement(avl_id, 1, 1) for avl_id in (21, 30, 239, 240, 9000)]
    odd = [[IoElement(9000, 1, 1)] * 2, [IoElement(281, 0, b" P0300")]]
    decoder = BatchFrameDecoder()
    records = [make_record(NOON_MS + number, [*ordinary, IoElement(281, 0, b"P1,P2")]) for number in range(9)]
    decoder.decode([one(record) for record in records], TIMELINE, {})
    assert decoder.reference_row_count == 0
    decoder.decode([one(make_record(NOON_MS + number, io)) for number, io in enumerate(odd)], TIMELINE, {})
    assert decoder.reference_row_count == 2


class TestOdometers:
    @pytest.mark.parametrize("ids", [(), (16,), (389,), (16, 389), (87, 16), (16, 87, 389)])
    @pytest.mark.parametrize("sources", [{}, {3: OdometerSource.GNSS}, {3: OdometerSource.CAN}])
    @pytest.mark.parametrize("imei", IMEIS)
    def test_the_source_of_an_undecided_installation(
        self, ids: tuple[int, ...], sources: dict[int, OdometerSource], imei: str
    ) -> None:
        messages = [
            one(make_record(NOON_MS + number, [IoElement(avl_id, 4, 1000) for avl_id in some]), imei)
            for number, some in enumerate([(), ids[:1], ids, ids])
        ]
        assert_same(messages, sources=sources)

    def test_one_choice_in_a_batch_counts_for_rows_that_the_reference_builds(self) -> None:
        twice = [IoElement(9000, 1, 1), IoElement(9000, 1, 1), IoElement(87, 4, 5)]
        later = make_record(NOON_MS + 1, [IoElement(16, 4, 9)])
        batch = assert_same([one(make_record(io=twice), CAN_IMEI), one(later, CAN_IMEI)])
        assert list(batch.chosen_sources.values()) == [OdometerSource.CAN]
        assert [row["odometer_source"] for row in rows_of(batch)] == [b"can", None]


def as_messages(frames: Iterable[bytes], chance: random.Random) -> list[FakeMessage]:
    return [
        make_message(
            frame,
            imei=chance.choice(IMEIS),
            offset=number,
            partition=chance.randrange(12),
            received_at_ms=NOON_MS + chance.randrange(DAY_MS),
        )
        for number, frame in enumerate(frames)
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(strategies.any_packet, max_size=3), st.randoms(use_true_random=False))
def test_a_batch_of_any_packets_is_the_same_both_ways(packets, chance) -> None:
    assert_same(as_messages([encode_tcp_frame(packet) for packet in packets], chance))


@st.composite
def any_reading(draw: st.DrawFn) -> FakeMessage:
    """A posted reading of a device or a partner, now and then one that is none."""
    document = {
        "timestamp": rfc3339_ms(from_epoch_ms(NOON_MS + draw(st.sampled_from([-1000, 0, 1, 999, DAY_MS])))),
        "odometer": draw(st.none() | st.floats(0, 10**7)),
        "odometer_source": draw(st.none() | st.sampled_from([source.value for source in OdometerSource])),
        "speed_mph": draw(st.none() | st.floats(0, 1000)),
        "satellites": draw(st.none() | st.integers(0, 255)),
        "location": draw(st.none() | st.just({"lat": 1.5, "lng": -2, "accuracy_m": 7})),
        "dtc_codes": draw(st.none() | st.lists(st.just("P0300"), max_size=2)),
        "ignition": draw(st.none() | st.booleans()),
    }
    key = draw(st.sampled_from([*(imei.encode() for imei in IMEIS), b"partner:pc_a", b"nobody"]))
    bad = draw(st.none() | st.sampled_from([None, b"{}", b"\xff"]))
    return make_reading_message(document, key=key, value=bad)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(strategies.any_packet, max_size=3),
    st.lists(any_reading(), max_size=6),
    st.randoms(use_true_random=False),
)
def test_frames_and_readings_mixed_in_one_batch_are_the_same_both_ways(packets, readings, chance) -> None:
    messages = [*as_messages([encode_tcp_frame(packet) for packet in packets], chance), *readings]
    chance.shuffle(messages)
    batch = assert_same(messages)
    without = assert_same([message for message in messages if message.topic() == Topic.AVL_FRAMES])
    # frames are not moved by their neighbours: their rows come first, and the same
    assert rows_of(batch)[: without.row_count] == rows_of(without)


def same_on_noise(count: int, seed: int) -> Counter[str]:
    """Frames of any shape, a third of them damaged, some of them twice."""
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(count // 250):
        frames: list[bytes] = []
        for _ in range(250):
            frame = encode_tcp_frame(make_packet(chance))
            kind = chance.random()
            frames.append(damage(chance, frame) if kind < 0.33 else frame)
            if kind > 0.9:
                frames.append(chance.choice(frames))
        batch = assert_same(as_messages(frames, chance))
        seen["rows"] += batch.row_count
        seen["duplicates"] += batch.duplicate_count
        seen.update(f"reject {reject.reason}" for reject in batch.rejects)
        for row in rows_of(batch):
            seen.update(f"column {name}" for name, value in row.items() if value is not None)
    return seen


def report(capsys: pytest.CaptureFixture[str], count: int, seen: Counter[str]) -> None:
    lines = [f"\n{count:,} frames through both ways into the sink, all the same:"]
    lines += [f"  {name:<26}{seen[name]:>9,}" for name in sorted(seen)]
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")


def test_five_thousand_frames_are_the_same_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    seen = same_on_noise(5_000, seed=4)
    report(capsys, 5_000, seen)
    reasons = ("truncated", "bad_length", "bad_crc", "count_mismatch", "io_mismatch", "time_out_of_range")
    assert all(seen[f"reject {reason}"] for reason in reasons)
    assert seen["duplicates"] > 20
    columns = [name for name in COLUMN_NAMES if name not in ("crank_v", "charge_v")]
    assert all(seen[f"column {name}"] for name in columns)


@pytest.mark.slow
def test_two_hundred_thousand_frames_are_the_same_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, 200_000, same_on_noise(200_000, seed=5))
