"""Whatever arrives on a connection, however it is cut: three outcomes, every byte accounted for.

Each stream is heard twice, in its segments and in one piece, and says the same. What its events hold, put
together again, is the stream itself, up to where framing was lost or more bytes are needed. Every frame that
comes out, accepted or rejected, goes to both decoders, which agree with each other and with the connection.
"""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import pytest

from ingest.batch.decoder import BatchDecoder
from ingest.batch.layout import Kind, Status
from ingest.codec8.connection import (
    CommandReceived,
    ConnectionState,
    DeviceConnection,
    Event,
    FrameReceived,
    FrameRejected,
    LoginRequested,
)
from ingest.codec8.encoding import encode_login
from ingest.codec8.errors import Reason
from ingest.codec8.frames import FRAME_OVERHEAD, MAX_DATA_LENGTH, FramingLost
from ingest.codec8.records import Ping
from tests.ingest.batch.coverage import SteadyMemory, require, show
from tests.ingest.batch.outcomes import expected_outcome, outcome
from tests.ingest.batch.streams import CHANGES, PIECES, SPLITS, make_pool, make_stream

DECODER = BatchDecoder()
ROUND = 500
REJECTED = (Reason.BAD_CRC, Reason.UNKNOWN_CODEC, Reason.COUNT_MISMATCH)
LOST = (Reason.BAD_IMEI, Reason.BAD_PREAMBLE, Reason.BAD_LENGTH)
GROUPS = {
    "pieces": PIECES,
    "changes to the whole": CHANGES,
    "splits": SPLITS,
    "outcomes": (
        "let in", "ping heard", "frame accepted", "command", "several events of one segment",
        *(f"rejected: {reason}" for reason in REJECTED), "accepted behind a rejected one",
        *(f"framing lost: {reason}" for reason in LOST), "more is needed",
    ),
    "what both decoders say": ("decoded", "io_mismatch", "trailing_bytes", "undecided"),
}  # fmt: skip


def listen(segments: Sequence[bytes], seen: Counter[str]) -> tuple[DeviceConnection, list[Event]]:
    """What a connection says that accepts every login at once, as the gateway does for a known device."""
    connection = DeviceConnection()
    events: list[Event] = []
    for segment in segments:
        heard = connection.feed(segment)
        if connection.state is ConnectionState.AWAITING_VERDICT:
            connection.accept_login()
            heard += connection.feed(b"")
        seen["several events of one segment"] += len(heard) > 1
        events += heard
        assert connection.pending_bytes <= MAX_DATA_LENGTH + FRAME_OVERHEAD
    return connection, events


def plain(events: Sequence[Event]) -> list[object]:
    """Events without what depends on the split: pings in a row are one, a loss is its reason."""
    said: list[object] = []
    for is_ping, group in groupby(events, lambda event: isinstance(event, Ping)):
        if is_ping:
            said.append(Ping(sum(ping.count for ping in group)))
        else:
            said += [event.reason if isinstance(event, FramingLost) else event for event in group]
    return said


def bytes_of(event: Event) -> bytes:
    match event:
        case LoginRequested(imei):
            return encode_login(imei)
        case Ping(count):
            return b"\xff" * count
        case FramingLost():
            return b""
        case _:
            return event.frame


def count_outcomes(events: Sequence[Event], seen: Counter[str]) -> None:
    """Count each event; any but the documented ones fails."""
    is_behind = False
    for event in events:
        match event:
            case LoginRequested():
                seen["let in"] += 1
            case Ping():
                seen["ping heard"] += 1
            case FrameReceived():
                seen["frame accepted"] += 1
                seen["accepted behind a rejected one"] += is_behind
            case CommandReceived():
                seen["command"] += 1
            case FrameRejected(reason, consumed, detail, frame):
                assert reason in REJECTED
                assert (consumed, bool(detail)) == (len(frame), True)
                seen[f"rejected: {reason}"] += 1
                is_behind = True
            case FramingLost(reason, detail):
                assert reason in LOST
                assert detail
                assert event is events[-1], "nothing is heard after the framing is lost"
                seen[f"framing lost: {reason}"] += 1


def assert_accounted(segments: Sequence[bytes], seen: Counter[str]) -> list[Event]:
    """The three outcomes of one stream; returns what it said."""
    stream = b"".join(segments)
    connection, events = listen(segments, seen)
    assert plain(events) == plain(listen([stream], Counter())[1]), stream.hex()
    count_outcomes(events, seen)
    understood = b"".join(map(bytes_of, events))
    assert stream.startswith(understood), stream.hex()
    is_lost = bool(events) and isinstance(events[-1], FramingLost)
    assert (connection.state is ConnectionState.CLOSED) is is_lost
    if not is_lost:
        assert connection.pending_bytes == len(stream) - len(understood), stream.hex()
        seen["more is needed"] += connection.pending_bytes > 0
        assert [lost.reason for lost in connection.hang_up()] == (
            [Reason.TRUNCATED] if len(stream) > len(understood) else []
        )
    return events


WALKED = frozenset({Status.COUNT_MISMATCH, Status.IO_MISMATCH, Status.TRAILING_BYTES})
"""What the walk through the records may find. The connection takes the last byte for number of data 2."""


def possible(event: Event) -> frozenset[Status]:
    """What the decoders may say about a frame of which the connection said this."""
    match event:
        case FrameReceived():
            return WALKED | {Status.DECODED}
        case CommandReceived():
            return frozenset({Status.UNDECIDED})
        case FrameRejected(Reason.COUNT_MISMATCH):
            return WALKED
        case FrameRejected(reason):
            return frozenset({Status[reason.name]})
        case _:
            raise AssertionError(event)


def assert_decoders_agree(events: Sequence[Event], seen: Counter[str]) -> None:
    """Both decoders on every frame that came out, and the connection's word on it."""
    verdicts = {bytes_of(event): event for event in events if not isinstance(event, LoginRequested | Ping)}
    verdicts.pop(b"", None)
    frames = list(verdicts)
    decoded = DECODER.decode(frames, [Kind.TCP] * len(frames))
    for number, frame in enumerate(frames):
        expected = expected_outcome(frame, Kind.TCP, MAX_DATA_LENGTH)
        assert outcome(decoded, number) == expected, frame.hex()
        event, status = verdicts[frame], Status(expected[0])
        assert status in possible(event), frame.hex()
        seen[status.name.lower()] += 1


def assert_three_outcomes(count: int, seed: int, at_least: int) -> Counter[str]:
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    memory = SteadyMemory()
    for _ in range(count // ROUND):
        pool = make_pool(chance, ROUND // 4, seen)
        events: list[Event] = []
        for _ in range(ROUND):
            events += assert_accounted(make_stream(chance, pool, seen), seen)
        assert_decoders_agree(events, seen)
        memory.check()
    require(seen, GROUPS, at_least)
    return seen


def test_twenty_thousand_streams_have_the_three_outcomes(capsys: pytest.CaptureFixture[str]) -> None:
    seen = assert_three_outcomes(20_000, seed=4, at_least=20)
    show(capsys, "20,000 streams, each heard in its segments and whole; both decoders agree", seen, GROUPS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_million_streams_have_the_three_outcomes(capsys: pytest.CaptureFixture[str]) -> None:
    seen = assert_three_outcomes(1_000_000, seed=32, at_least=1_000)
    show(capsys, "1,000,000 streams, each heard in its segments and whole; both decoders agree", seen, GROUPS)
