"""How far into the stream the live state reaches, kept in Redis beside the state itself. Pure.

Kafka's own offsets of the group would not do: should Redis be killed and lose its last two seconds (its file
is synced every second), they would be ahead of the state, and what happened in between would be missing from
it. Kept in Redis, behind the state in the same file, they fall back with it, and the messages come again.

The hash has a field for each partition, `<topic>:<partition>`, with the value `<incarnation>|<next offset>`.
An incarnation is the id that Kafka gave the topic. Offsets of another one mean nothing: the partition is read
from its beginning.

A log can also become shorter and keep its id: after a power cut that took its last frames, or when a broker's
files come from a backup. What is written then has offsets that were used before, and reading on from ours
would pass it over. So an offset beyond the log's end begins a new incarnation of that partition, `<id>~1`,
`~2` and so on, and the partition is read from its beginning: that repeats alerts with the same ids, and
loses nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from ingest.stream.log_spans import LogSpan, Partition
from ingest.stream.messages import RawMessage

MessageT = TypeVar("MessageT", bound=RawMessage)
Incarnations = Mapping[Partition, str]

_SHORTENED: Final = "~"
_NOT_OURS: Final = 1 << 63
"""Greater than any offset."""


class Move(NamedTuple):
    """One field's step: what has to stand there, and what to write (empty: leave it)."""

    field: bytes
    expected: bytes
    written: bytes


class _Place(NamedTuple):
    """What stands in Redis for a partition, and what it means."""

    stored: bytes
    incarnation: str
    next_offset: int
    is_shortened: bool = False


def _field(partition: Partition) -> bytes:
    return f"{partition[0]}:{partition[1]}".encode()


class LiveOffsets:
    """The partitions of one live writer, each with what stands in Redis for it."""

    def __init__(self) -> None:
        self._places: dict[Partition, _Place] = {}
        self._topic_ids: Mapping[str, str] = {}

    @property
    def partitions(self) -> Collection[Partition]:
        """The partitions."""
        return tuple(self._places)

    @property
    def incarnations(self) -> Incarnations:
        """Incarnation of each partition."""
        return {partition: place.incarnation for partition, place in self._places.items()}

    def assign(
        self,
        stored: Mapping[bytes, bytes],
        topic_ids: Mapping[str, str],
        spans: Mapping[Partition, LogSpan],
    ) -> list[Partition]:
        """Take over partitions where Redis says that they stand.

        Args:
            stored: all fields.
            topic_ids: incarnation of each topic.
            spans: the partitions to take over, with what their logs hold; looked up after `stored` was read.

        Returns:
            Partitions whose log ends before what was read of it.
        """
        self._topic_ids = topic_ids
        for partition, span in spans.items():
            self._places[partition] = self._place(partition, stored.get(_field(partition), b""), span)
        return [partition for partition in spans if self._places[partition].is_shortened]

    def reload(self, stored: Mapping[bytes, bytes], spans: Mapping[Partition, LogSpan]) -> list[Partition]:
        """Set every partition to where Redis says that it stands; see `assign`."""
        return self.assign(
            stored, self._topic_ids, {partition: spans[partition] for partition in self._places}
        )

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions."""
        for partition in partitions:
            self._places.pop(partition, None)

    def places(self) -> list[TopicPartition]:
        """Where to read each partition from."""
        return [
            TopicPartition(topic, number, place.next_offset)
            for (topic, number), place in self._places.items()
        ]

    def ours(self, messages: Sequence[MessageT]) -> list[MessageT]:
        """The messages of our partitions that the live state does not hold yet."""
        following = {partition: place.next_offset for partition, place in self._places.items()}
        return [
            message
            for message in messages
            if (message.offset() or 0)
            >= following.get((message.topic() or "", message.partition() or 0), _NOT_OURS)
        ]

    def moves(self, messages: Iterable[RawMessage]) -> list[Move]:
        """The steps behind these messages; partitions without one have to stand where they did."""
        last = {
            (message.topic() or "", message.partition() or 0): message.offset() or 0 for message in messages
        }
        return [
            Move(_field(partition), place.stored, _value(place.incarnation, last.get(partition)))
            for partition, place in self._places.items()
        ]

    def settle(self, moves: Iterable[Move]) -> None:
        """Remember steps that Redis has taken."""
        written = {move.field: move.written for move in moves if move.written}
        for partition, place in self._places.items():
            stored = written.get(_field(partition))
            if stored is not None:
                following = int(stored.rpartition(b"|")[2])
                self._places[partition] = _Place(stored, place.incarnation, following)

    def _place(self, partition: Partition, stored: bytes, span: LogSpan) -> _Place:
        topic_id = self._topic_ids[partition[0]]
        incarnation, _, offset = stored.decode("ascii", "replace").rpartition("|")
        if incarnation.partition(_SHORTENED)[0] != topic_id or not offset.isdigit():
            return _Place(stored, topic_id, OFFSET_BEGINNING)
        if int(offset) > span.end:
            number = incarnation.partition(_SHORTENED)[2]
            again = f"{topic_id}{_SHORTENED}{int(number) + 1 if number.isdigit() else 1}"
            return _Place(stored, again, OFFSET_BEGINNING, is_shortened=True)
        return _Place(stored, incarnation, max(int(offset), span.start))


def _value(incarnation: str, offset: int | None) -> bytes:
    return b"" if offset is None else f"{incarnation}|{offset + 1}".encode()
