"""What the alert rules know of each device in each vehicle: its form in Redis, and the batch that moves it.

A state carries the stream position of the last frame that went into it, so a frame that comes again changes
nothing and raises nothing: it is passed over. Positions count within one incarnation of the topic; another
one begins anew, with what was known kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from ingest.alerts.alert import Alert
from ingest.alerts.facts import facts_of, readers_of
from ingest.alerts.rules import Known, Raised, State, advance
from ingest.live.state import Seen
from ingest.stream.messages import FrameMessage
from telematics import stream_position
from telematics.names import Topic

POSITION_DIGITS: Final = 19
"""A packed stream position in decimal, padded: so positions compare as text, in Lua too."""
_CACHED_STATES: Final = 50_000


class Subject(NamedTuple):
    """A device in a vehicle."""

    vin: str
    device_id: str


class Memory(NamedTuple):
    """The state of a subject and how far into the stream it reaches."""

    topic_id: str
    """Incarnation of the topic that `position` counts in."""
    position: int
    """Packed position of the last frame that went in; -1 for none."""
    state: State


EMPTY: Final = Memory("", -1, {})


def encode(memory: Memory) -> tuple[bytes, bytes, bytes]:
    """Topic id, position and state as Redis keeps them."""
    return (
        memory.topic_id.encode(),
        b"%0*d" % (POSITION_DIGITS, memory.position),
        orjson.dumps({name: [known.time_ms, known.value] for name, known in memory.state.items()}),
    )


def decode(stored: bytes) -> Memory:
    """What Redis has, `<topic id>|<position>|<JSON>`; what is not of this form is as good as nothing."""
    try:
        topic_id, position, document = stored.split(b"|", 2)
        state = {name: Known(*entry) for name, entry in orjson.loads(document).items()}
        return Memory(topic_id.decode(), int(position), state)
    except (ValueError, TypeError, AttributeError):
        return EMPTY


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
    """A frame with what was seen in it: its records that lie in a vehicle and in time."""

    frame: FrameMessage
    family: str | None
    seen: tuple[Seen, ...]

    def subjects(self) -> set[Subject]:
        """The devices in vehicles that it speaks of; two where it straddles a move."""
        return {Subject(seen.vin, self.frame.imei) for seen in self.seen}


class Settled(NamedTuple):
    """What a batch of frames comes to."""

    alerts: list[Alert]
    memories: dict[Subject, Memory]
    """Those that moved."""


def settle(
    frames: Iterable[ObservedFrame], known: Mapping[Subject, Memory], topic_ids: Mapping[str, str]
) -> Settled:
    """Let the rules look at frames, in stream order. Pure.

    Args:
        frames: of one batch.
        known: the memory of every subject of theirs.
        topic_ids: incarnation of each topic.
    """
    alerts: list[Alert] = []
    moved: dict[Subject, Memory] = {}
    for observed in frames:
        frame = observed.frame
        topic_id = topic_ids.get(frame.topic, "")
        position = stream_position.pack(Topic(frame.topic), frame.partition, frame.offset, 0)
        readers = readers_of(observed.family)
        for subject in sorted(observed.subjects()):
            memory = moved.get(subject) or known[subject]
            if memory.topic_id == topic_id and memory.position >= position:
                continue
            mine = [seen for seen in observed.seen if seen.vin == subject.vin]
            facts = [facts_of(seen.record, seen.measured, seen.vin, readers) for seen in mine]
            state, raised = advance(memory.state, facts)
            moved[subject] = Memory(topic_id, position, state)
            alerts += (_alert(frame, position, mine[item.number], item) for item in raised)
    return Settled(alerts, moved)


def _alert(frame: FrameMessage, position: int, seen: Seen, raised: Raised) -> Alert:
    return Alert(
        vin=seen.vin,
        device_id=frame.imei,
        time_ms=seen.record.timestamp_ms,
        received_at_ms=frame.received_at_ms,
        kind=raised.finding.kind,
        code=raised.finding.code,
        origin=seen.origin,
        stream_position=position + seen.number,
        is_late=raised.is_late,
        detail=raised.finding.detail,
    )
