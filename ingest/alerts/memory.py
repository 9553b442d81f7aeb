"""What the alert rules know of each device in each vehicle: its form in Redis, and the batch that moves it.

Frames and posted readings of one device are two subjects: positions count within a topic.

A state carries the stream position of the last frame that went into it, so a frame that comes again changes
nothing and raises nothing: it is passed over. Positions count within one incarnation of the topic; another
one begins anew, with what was known kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from ingest.alerts.alert import Alert
from ingest.alerts.facts import Readers, facts_of, facts_of_reading, readers_of
from ingest.alerts.rules import Facts, Known, Raised, State, advance
from ingest.live.state import Seen
from ingest.stream.messages import FrameMessage
from ingest.stream.readings import ReadingMessage
from telematics import stream_position
from telematics.names import Topic

POSITION_DIGITS: Final = 19
"""A packed stream position in decimal, padded: so positions compare as text, in Lua too."""
_CACHED_STATES: Final = 50_000
_READING_PREFIX: Final = "reading:"


class Subject(NamedTuple):
    """A device in a vehicle."""

    vin: str
    device_id: str
    """IMEI; of readings `reading:` and their device id."""


class Memory(NamedTuple):
    """The state of a subject and how far into the stream it reaches."""

    topic_id: str
    """Incarnation of the topic's partition that `position` counts in."""
    position: int
    """Packed position of the last frame that went in; -1 for none."""
    state: State


EMPTY: Final = Memory("", -1, {})


class Encoded(NamedTuple):
    """A memory as Redis keeps it."""

    topic_id: bytes
    position: bytes
    """`POSITION_DIGITS` digits."""
    state: bytes
    """JSON."""


def encode(memory: Memory) -> Encoded:
    """The memory as Redis keeps it."""
    return Encoded(
        memory.topic_id.encode(),
        encode_position(memory.position),
        orjson.dumps({name: [known.time_ms, known.value] for name, known in memory.state.items()}),
    )


def encode_position(position: int) -> bytes:
    """A packed position as text."""
    return b"%0*d" % (POSITION_DIGITS, position)


def decode(stored: bytes) -> Memory:
    """What Redis has, `<topic id>|<position>|<JSON>`; what is not of this form is as good as nothing."""
    try:
        topic_id, position, document = stored.split(b"|", 2)
        return Memory(topic_id.decode(), int(position), decode_state(document))
    except (ValueError, TypeError, AttributeError):
        return EMPTY


def decode_state(document: bytes) -> dict[str, Known]:
    """The state in JSON."""
    return {name: Known(*entry) for name, entry in orjson.loads(document).items()}


class MemoryCache:
    """The memories that were used last; what is not there is read anew."""

    def __init__(self, load: Callable[[Collection[Subject]], Mapping[Subject, Memory]]) -> None:
        """A cache over `load`, which reads memories from Redis."""
        self._load = load
        self._kept: OrderedDict[Subject, Memory] = OrderedDict()

    def get(self, subjects: Collection[Subject]) -> dict[Subject, Memory]:
        """The memories of these subjects.

        Raises:
            LiveStoreUnavailableError: Redis is down.
        """
        missing = [subject for subject in subjects if subject not in self._kept]
        read = self._load(missing) if missing else {}
        return {
            subject: kept if (kept := self._kept.get(subject)) is not None else read.get(subject, EMPTY)
            for subject in subjects
        }

    def put(self, memories: Mapping[Subject, Memory]) -> None:
        """Keep memories that are in Redis now."""
        for subject, memory in memories.items():
            self._kept[subject] = memory
            self._kept.move_to_end(subject)
        while len(self._kept) > _CACHED_STATES:
            self._kept.popitem(last=False)

    def forget(self) -> None:
        """Read everything anew."""
        self._kept.clear()


@dataclass(frozen=True, slots=True)
class ObservedFrame:
    """A frame, or a reading, with what was seen in it: its records that lie in a vehicle and in time."""

    frame: FrameMessage | ReadingMessage
    family: str | None
    seen: tuple[Seen, ...]

    def subjects(self) -> set[Subject]:
        """The devices in vehicles that it speaks of; two where it straddles a move."""
        if isinstance(self.frame, FrameMessage):
            return {Subject(seen.vin, self.frame.imei) for seen in self.seen}
        return {Subject(seen.vin, _READING_PREFIX + self.frame.device_id) for seen in self.seen}

    def only(self, subjects: Container[Subject]) -> "ObservedFrame":
        """The frame as if it spoke of these subjects alone."""
        vins = {subject.vin for subject in self.subjects() if subject in subjects}
        return ObservedFrame(self.frame, self.family, tuple(seen for seen in self.seen if seen.vin in vins))


class Settled(NamedTuple):
    """What a batch of frames comes to."""

    alerts: list[Alert]
    memories: dict[Subject, Memory]
    """Those that moved."""
    repeated_count: int = 0
    """Frames that were in a memory already, once for each subject of theirs."""


def settle(
    frames: Iterable[ObservedFrame],
    known: Mapping[Subject, Memory],
    incarnations: Mapping[tuple[str, int], str],
) -> Settled:
    """Let the rules look at frames, in stream order. Pure.

    Args:
        frames: of one batch.
        known: the memory of every subject of theirs.
        incarnations: of each topic's partitions (`ingest.live.offsets`).
    """
    alerts: list[Alert] = []
    moved: dict[Subject, Memory] = {}
    repeated = 0
    for observed in frames:
        frame = observed.frame
        topic_id = incarnations.get((frame.topic, frame.partition), "")
        position = stream_position.pack(Topic(frame.topic), frame.partition, frame.offset, 0)
        readers = readers_of(observed.family)
        for subject in sorted(observed.subjects()):
            memory = moved.get(subject) or known[subject]
            if memory.topic_id == topic_id and memory.position >= position:
                repeated += 1
                continue
            mine = [seen for seen in observed.seen if seen.vin == subject.vin]
            facts = [_facts(seen, readers) for seen in mine]
            state, raised = advance(memory.state, facts)
            moved[subject] = Memory(topic_id, position, state)
            alerts += (_alert(frame, position, mine[item.number], item) for item in raised)
    return Settled(alerts, moved, repeated)


def _facts(seen: Seen, readers: Readers) -> Facts:
    if seen.record is None:
        return facts_of_reading(seen.time_ms, seen.measured, seen.vin)
    return facts_of(seen.record, seen.measured, seen.vin, readers)


def _alert(frame: FrameMessage | ReadingMessage, position: int, seen: Seen, raised: Raised) -> Alert:
    return Alert(
        vin=seen.vin,
        device_id=frame.imei if isinstance(frame, FrameMessage) else frame.device_id,
        time_ms=seen.time_ms,
        received_at_ms=frame.received_at_ms,
        kind=raised.finding.kind,
        code=raised.finding.code,
        origin=seen.origin,
        stream_position=position + seen.number,
        is_late=raised.is_late,
        detail=raised.finding.detail,
    )
