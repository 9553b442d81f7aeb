"""Both decoders say the same, frame by frame: about vectors, about whatever Hypothesis finds, about noise."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batch.decoder import NO_LIMIT, BatchDecoder
from ingest.batch.layout import Kind, Status
from ingest.codec8.decoding import decode_tcp_frame
from ingest.codec8.encoding import encode_tcp_frame, encode_udp_datagram
from ingest.codec8.frames import MAX_DATA_LENGTH
from ingest.codec8.records import UdpDatagram
from tests.ingest.batch.coverage import SteadyMemory, require, show
from tests.ingest.batch.frames import FEATURES, MUTATIONS, damage, make_datagram, make_frame
from tests.ingest.batch.outcomes import expected_outcome, outcome
from tests.ingest.codec8 import strategies, wire
from tests.ingest.codec8.test_order_of_checks import TCP_CASES, UDP_CASES

DECODER = BatchDecoder()
GROUPS = {
    "outcomes": tuple(status.name.lower() for status in Status),
    "what they held before": FEATURES,
    "mutations": MUTATIONS,
}
TCP_VECTORS = [
    wire.VENDOR_CODEC_8,
    wire.VENDOR_CODEC_8_TWO_RECORDS,
    wire.VENDOR_CODEC_8E,
    wire.VENDOR_CODEC_16,
    wire.VENDOR_CODEC_12,
    wire.VENDOR_CODEC_14,
    wire.VENDOR_CODEC_15,
    wire.tcp(wire.avl_data("08", wire.RECORD_8, wire.RECORD_8_EMPTY)),
    wire.tcp(wire.avl_data("8E", wire.RECORD_8E, wire.RECORD_8E)),
    wire.tcp(wire.avl_data("10", wire.RECORD_16)),
    wire.tcp(wire.avl_data("08")),
    wire.tcp(wire.avl_data("08", *[wire.RECORD_8] * 255)),
    *(case for cases in TCP_CASES.values() for case in cases),
]
UDP_VECTORS = [
    wire.VENDOR_UDP,
    wire.udp(wire.avl_data("8E", wire.RECORD_8E)),
    wire.udp(wire.avl_data("10", wire.RECORD_16)),
    wire.udp(bytes.fromhex("0C")),
    *(case for cases in UDP_CASES.values() for case in cases),
]


def assert_equal(
    frames: Sequence[bytes], kinds: Sequence[Kind], max_data_length: int = MAX_DATA_LENGTH
) -> Counter[Status]:
    decoded = DECODER.decode(frames, kinds, max_data_length)
    for number, (frame, kind) in enumerate(zip(frames, kinds, strict=True)):
        expected = expected_outcome(frame, kind, max_data_length)
        assert outcome(decoded, number) == expected, frame.hex()
    assert len(decoded.records) == sum(len(decoded.frame_records(number)) for number in range(len(frames))), (
        "a frame that was refused left records behind"
    )
    return Counter(Status(status) for status in decoded.statuses)


@pytest.mark.parametrize("frame", TCP_VECTORS)
def test_a_vector_of_the_protocol_text_alone_in_a_batch(frame: bytes) -> None:
    assert_equal([frame], [Kind.TCP])


@pytest.mark.parametrize("frame", UDP_VECTORS)
def test_a_datagram_alone_in_a_batch(frame: bytes) -> None:
    assert_equal([frame], [Kind.UDP])


def test_all_vectors_in_one_batch_show_every_status() -> None:
    kinds = [Kind.TCP] * len(TCP_VECTORS) + [Kind.UDP] * len(UDP_VECTORS)
    assert set(assert_equal(TCP_VECTORS + UDP_VECTORS, kinds)) == set(Status)


def test_the_values_of_a_hand_made_record_are_those_that_the_protocol_text_gives() -> None:
    (record,) = DECODER.decode([wire.tcp(wire.avl_data("8E", wire.RECORD_8E))]).frame_records(0)
    assert (record.longitude_raw, record.latitude_raw) == (0xCE1B6E80 - 2**32, 0x19350000)
    assert (record.altitude_m, record.angle_deg, record.satellites, record.speed_kph) == (-6, 90, 12, 55)
    assert record.io[-2:] == ((281, 0, b"P0300"), (257, 0, b""))


def test_a_batch_without_frames_has_no_records() -> None:
    decoded = DECODER.decode([])
    assert (len(decoded.records), len(decoded.statuses)) == (0, 0)


def test_the_longest_data_field_is_the_callers_to_choose() -> None:
    frame = wire.tcp(wire.avl_data("8E", wire.RECORD_8E))
    for longest in (len(frame) - 13, len(frame) - 12, NO_LIMIT):
        assert_equal([frame], [Kind.TCP], longest)


def test_what_a_refused_frame_wrote_does_not_show_in_its_neighbours() -> None:
    good = wire.tcp(wire.avl_data("08", wire.RECORD_8))
    late = wire.tcp(wire.avl_data("08", *[wire.RECORD_8] * 20, wire.RECORD_8[:-2]))
    decoded = DECODER.decode([good, late, good])
    assert [decoded.status(number) for number in range(3)] == [0, Status.IO_MISMATCH, 0]
    assert decoded.frame_records(0) == decoded.frame_records(2) == decode_tcp_frame(good).records
    assert decoded.elements.size == 2 * 4


@st.composite
def any_frame(draw):
    """A frame or a datagram, faultless or damaged."""
    packet = draw(strategies.any_packet)
    if draw(st.integers(0, 3)) == 0:
        datagram = encode_udp_datagram(UdpDatagram(1, 2, draw(strategies.imeis), packet))
        return Kind.UDP, draw(broken(datagram)) if draw(st.booleans()) else datagram
    frame = encode_tcp_frame(packet)
    if draw(st.booleans()):
        return Kind.TCP, frame
    if draw(st.booleans()):
        return Kind.TCP, draw(broken(frame))
    data = draw(broken(frame[8:-4]))
    return Kind.TCP, wire.tcp(data) if len(data) >= 3 else frame[:11]


@st.composite
def broken(draw, message):
    changed = bytearray(message)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(changed) - 1)))
        match draw(st.sampled_from(["set", "cut", "insert", "double"])):
            case "set" if changed:
                changed[at] = draw(st.integers(0, 255))
            case "cut":
                del changed[at : at + draw(st.integers(1, 9))]
            case "insert":
                changed[at:at] = draw(st.binary(min_size=1, max_size=5))
            case "double":
                changed += changed[at:]
    return bytes(changed)


@settings(max_examples=120, deadline=None)
@given(st.lists(any_frame(), max_size=4))
def test_a_batch_of_any_frames_decodes_as_the_reference_decodes_each(batch) -> None:
    assert_equal([frame for _, frame in batch], [kind for kind, _ in batch])


def assert_equal_on_noise(count: int, seed: int, at_least: int) -> Counter[str]:
    """Damaged frames, every tenth left whole; what they are made of and what became of them is counted.

    Every class of both occurs at least so often, and memory does not grow.
    """
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    memory = SteadyMemory()
    for _ in range(count // 500):
        frames, kinds = [], []
        for number in range(500):
            is_udp = number % 8 == 0
            frame = make_datagram(chance, seen) if is_udp else make_frame(chance, seen)
            frames.append(frame if number % 10 == 0 else damage(chance, frame, seen))
            kinds.append(Kind.UDP if is_udp else Kind.TCP)
        seen.update({status.name.lower(): number for status, number in assert_equal(frames, kinds).items()})
        memory.check()
    require(seen, GROUPS, at_least)
    return seen


def test_twenty_thousand_mutated_frames_have_the_same_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    seen = assert_equal_on_noise(20_000, seed=8, at_least=20)
    show(capsys, "20,000 mutated frames, both decoders agree", seen, GROUPS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_million_mutated_frames_have_the_same_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    seen = assert_equal_on_noise(1_000_000, seed=16, at_least=1_000)
    show(capsys, "1,000,000 mutated frames, both decoders agree", seen, GROUPS)
