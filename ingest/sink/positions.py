"""Where each partition of the sink stands, checked against the stream on every batch. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from ingest.sink.errors import StreamGapError, StreamMismatchError
from ingest.sink.store import OffsetMove, StoredOffset
from ingest.stream.identity import StreamIdentity
from ingest.stream.messages import RawMessage

Partition = tuple[str, int]
MessageT = TypeVar("MessageT", bound=RawMessage)


def check_identity(
    group: str,
    stored: Mapping[Partition, StoredOffset],
    current: StreamIdentity,
    partitions: Iterable[Partition],
) -> None:
    """Make sure that stored offsets mean what they say.

    Raises:
        StreamMismatchError: they belong to another cluster, or the topic was deleted and made again.
    """
    for topic, partition in partitions:
        offset = stored.get((topic, partition))
        if offset is None:
            continue
        for what, then, now in (
            ("cluster", offset.cluster_id, current.cluster_id),
            ("topic", offset.topic_id, current.topic_ids[topic]),
        ):
            if then != now:
                message = (
                    f"the offsets of {topic} in TimescaleDB belong to another {what} (id {then}) than "
                    f"Kafka has now (id {now}), so they say nothing about its messages. Point the sink to "
                    f"the Kafka that it read before (PISTON_KAFKA_SERVERS), or, if that one is gone for "
                    f"good, run \"delete from stream_offsets where consumer_group = '{group}' and "
                    f"topic = '{topic}'\": the sink then reads the topic from its beginning"
                )
                raise StreamMismatchError(message)


class Positions:
    """The partitions of one sink process, each with what to read next (None: nothing was ever stored)."""

    def __init__(self) -> None:
        self._next: dict[Partition, int | None] = {}

    def assign(self, stored: Mapping[Partition, StoredOffset], partitions: Iterable[Partition]) -> None:
        """Take over partitions where TimescaleDB says that they stand."""
        for partition in partitions:
            offset = stored.get(partition)
            self._next[partition] = None if offset is None else offset.next_offset

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions."""
        for partition in partitions:
            self._next.pop(partition, None)

    def reload(self, stored: Mapping[Partition, StoredOffset]) -> None:
        """Set every partition to where TimescaleDB says that it stands."""
        self.assign(stored, tuple(self._next))

    def next_offset(self, partition: Partition) -> int | None:
        """What to read next; None: from the beginning."""
        return self._next[partition]

    def pending(self, messages: Sequence[MessageT]) -> list[MessageT]:
        """The messages that are not settled yet, of the partitions that are ours.

        Nothing of ours leaves holes in these topics (no transactions, no compaction), so a hole is a fault
        and never skipped.

        Raises:
            StreamGapError: messages are missing in front of one.
        """
        kept: list[MessageT] = []
        reached = dict(self._next)
        for message in messages:
            topic, partition, offset = position_of(message)
            if (topic, partition) not in reached:
                continue
            expected = reached[topic, partition]
            if expected is not None and offset < expected:
                continue
            if expected is not None and offset > expected:
                text = (
                    f"{topic} partition {partition} goes on at offset {offset}, but {expected} is the next "
                    f"to be stored; nothing was skipped. Start the sink again: it asks Kafka anew. If Kafka "
                    f"lost those messages, set that partition's next_offset in stream_offsets to {offset}"
                )
                raise StreamGapError(text)
            reached[topic, partition] = offset + 1
            kept.append(message)
        return kept

    def moves(self, messages: Iterable[RawMessage], identity: StreamIdentity) -> list[OffsetMove]:
        """The steps that settling these messages means."""
        last = {(message.topic(), message.partition()): message for message in messages}
        return [
            OffsetMove(
                topic=topic,
                partition=partition,
                cluster_id=identity.cluster_id,
                topic_id=identity.topic_ids[topic],
                expected=self._next[topic, partition],
                next_offset=offset + 1,
            )
            for topic, partition, offset in map(position_of, last.values())
        ]

    def settle(self, moves: Iterable[OffsetMove]) -> None:
        """Remember steps that were committed."""
        for move in moves:
            self._next[move.topic, move.partition] = move.next_offset


def position_of(message: RawMessage) -> tuple[str, int, int]:
    """Topic, partition and offset of a message that a consumer delivered.

    Raises:
        StreamGapError: it has none, which no consumer should ever see.
    """
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        text = "Kafka delivered a message without topic, partition or offset; nothing was stored"
        raise StreamGapError(text)
    return topic, partition, offset
