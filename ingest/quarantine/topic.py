"""Reading `telemetry.quarantine.v1` from one offset to another, without belonging to a group.

Whoever can write to the topic can write anything: messages that are no frames are counted and passed over.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, TopicPartition

from ingest.stream.identity import read_identity
from ingest.stream.kafka_log import KafkaErrorLog
from ingest.stream.log_spans import partitions_of, read_spans
from ingest.stream.messages import FrameMessage, MalformedMessageError, decode_frame
from telematics.errors import UnavailableError
from telematics.names import Topic

_ANSWER_S: Final = 20.0
_BATCH: Final = 1000


class Span(NamedTuple):
    """Offsets of a partition, half-open."""

    first: int
    until: int


class Incarnation(NamedTuple):
    """Which topic of which cluster offsets belong to."""

    cluster_id: str
    topic_id: str


class FrameSource(Protocol):
    """The quarantine, for whoever settles its frames."""

    incarnation: Incarnation

    def spans(self) -> Mapping[int, Span]:
        """What each partition holds now."""

    def read(self, partition: int, span: Span) -> Iterator[FrameMessage]:
        """The frames there, in order."""


class QuarantineTopic:
    """A `FrameSource` over Kafka."""

    def __init__(self, bootstrap: str) -> None:
        """The topic as it is now.

        Raises:
            NotFoundError: there is no such topic.
            UnavailableError: Kafka does not answer.
        """
        self._bootstrap = bootstrap
        identity = read_identity(bootstrap, [Topic.QUARANTINE])
        self.incarnation = Incarnation(identity.cluster_id, identity.topic_ids[Topic.QUARANTINE])
        self.malformed_count = 0
        """Messages read so far that are no frames."""
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "piston.quarantine",  # never joined, never committed to: partitions are assigned
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",  # retention may take what was there a moment ago
                "enable.partition.eof": True,
                "log_level": 0,
                "error_cb": KafkaErrorLog("quarantine"),
            }
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def spans(self) -> dict[int, Span]:
        """What each partition holds now.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        spans = read_spans(self._bootstrap, partitions_of(Topic.QUARANTINE), _ANSWER_S)
        return {number: Span(*span) for (_, number), span in spans.items()}

    def read(self, partition: int, span: Span) -> Iterator[FrameMessage]:
        """The frames there, in order. One `read` at a time.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        if span.first >= span.until:
            return
        self._consumer.assign([TopicPartition(Topic.QUARANTINE, partition, span.first)])
        heard_at = time.monotonic()
        while True:
            messages = self._consumer.consume(_BATCH, 0.5)
            if messages:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > _ANSWER_S:
                reason = "no answer"
                raise self._unavailable(reason)
            for message in messages:
                error, offset = message.error(), message.offset()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return
                    raise self._unavailable(error.name())
                if offset is None or offset >= span.until:
                    return
                try:
                    yield decode_frame(message)
                except MalformedMessageError:
                    self.malformed_count += 1
                if offset == span.until - 1:
                    return

    def _unavailable(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"Kafka at {self._bootstrap} does not tell its quarantine ({reason}); is the stack up "
            f"(`piston status`, PISTON_KAFKA_PORT)?"
        )
