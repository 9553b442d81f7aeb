"""How far into the stream the live state reaches, kept in Redis beside the state itself. Pure.

Kafka's own offsets of the group would not do: should Redis be killed and lose its last two seconds (its file
is synced every second), they would be ahead of the state, and what happened in between would be missing from
it. Kept in Redis, behind the state in the same file, they fall back with it, and the messages come again.

The hash has a field for each partition, `<topic>:<partition>`, with the value `<topic id>|<next offset>`.
Offsets of another incarnation of the topic mean nothing: the partition is read from its beginning.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from ingest.stream.messages import RawMessage

MessageT = TypeVar("MessageT", bound=RawMessage)
Partition = tuple[str, int]


class Move(NamedTuple):
    """One field's step: what has to stand there, and what to write (empty: leave it)."""

    field: bytes
    expected: bytes
    written: bytes


def _field(partition: Partition) -> bytes:
    return f"{partition[0]}:{partition[1]}".encode()


class LiveOffsets:
    """The partitions of one live writer, each with what stands in Redis for it."""

    def __init__(self) -> None:
        self._stored: dict[Partition, bytes] = {}
        self._topic_ids: Mapping[str, str] = {}

    @property
    def topic_ids(self) -> Mapping[str, str]:
        """Incarnation of each topic."""
        return self._topic_ids

    def assign(
        self,
        stored: Mapping[bytes, bytes],
        topic_ids: Mapping[str, str],
        partitions: Iterable[Partition],
    ) -> None:
        """Take over partitions where Redis says that they stand."""
        self._topic_ids = topic_ids
        for partition in partitions:
            self._stored[partition] = stored.get(_field(partition), b"")

    def reload(self, stored: Mapping[bytes, bytes]) -> None:
        """Set every partition to where Redis says that it stands."""
        self.assign(stored, self._topic_ids, tuple(self._stored))

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions."""
        for partition in partitions:
            self._stored.pop(partition, None)

    def places(self) -> list[TopicPartition]:
        """Where to read each partition from."""
        return [TopicPartition(topic, number, self._next((topic, number))) for topic, number in self._stored]

    def ours(self, messages: Sequence[MessageT]) -> list[MessageT]:
        """The messages of our partitions that the live state does not hold yet."""
        return [
            message
            for message in messages
            if (key := (message.topic() or "", message.partition() or 0)) in self._stored
            and (message.offset() or 0) >= self._next(key)
        ]

    def moves(self, messages: Iterable[RawMessage]) -> list[Move]:
        """The steps behind these messages; partitions without one have to stand where they did."""
        last: dict[Partition, int] = {}
        for message in messages:
            last[message.topic() or "", message.partition() or 0] = message.offset() or 0
        return [
            Move(_field(partition), stored, self._value(partition, last.get(partition)))
            for partition, stored in self._stored.items()
        ]

    def settle(self, moves: Iterable[Move]) -> None:
        """Remember steps that Redis has taken."""
        written = {move.field: move.written for move in moves if move.written}
        for partition in self._stored:
            self._stored[partition] = written.get(_field(partition), self._stored[partition])

    def _value(self, partition: Partition, offset: int | None) -> bytes:
        return b"" if offset is None else f"{self._topic_ids[partition[0]]}|{offset + 1}".encode()

    def _next(self, partition: Partition) -> int:
        topic_id, _, offset = self._stored[partition].decode("ascii", "replace").partition("|")
        is_ours = topic_id == self._topic_ids.get(partition[0]) and offset.isdigit()
        return int(offset) if is_ours else OFFSET_BEGINNING
