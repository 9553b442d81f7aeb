"""The batch consumer loop that the sink and the live writer share.

Order of one turn, which is the promise ("offset last"):

1. `consume` up to `batch_size` messages, waiting at most `linger_s` for the batch to fill;
2. `handler.handle(messages)`, which returns only when their effect is durable;
3. only then, if `commit_to_kafka`, the offsets after these messages go to Kafka. The sink does not use
   that: it writes its offsets in step 2, in the transaction that holds the rows.

A handler that raises `UnavailableError` (its store is down) gets the same messages again after a pause:
the loop seeks back and goes on polling, so that the group keeps its member. Any other error ends the loop.
Nothing between 1 and 3 is remembered outside Kafka and the handler's store, so dying at any point costs a
repetition, never a loss.

Groups use the consumer protocol of KIP-848 (`group.protocol=consumer`, Kafka 4.0 and later): partitions
come and go one by one, and only those named in a callback change hands.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, Literal, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ingest.stream.identity import read_identity
from ingest.stream.kafka_log import KafkaErrorLog
from telematics.errors import PistonError, UnavailableError

log = structlog.get_logger()

BUSY_MESSAGES: Final = 250
"""A batch of so many is no lone message any more."""
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
_TOPICS_S: Final = 3.0
_OFFSET_MISSING: Final = frozenset(
    {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError._NO_OFFSET}
)


class StreamError(PistonError):
    """Kafka refused to go on with this consumer: a wrong topic, an offset out of range, a fatal error."""


class StreamRewindError(UnavailableError):
    """The handler's store stands elsewhere in the stream than the loop does; `partitions` say where."""

    def __init__(self, message: str, partitions: Sequence[TopicPartition]) -> None:
        super().__init__(message)
        self.partitions = partitions


class BatchHandler(Protocol):
    """What a consumer does with its messages. All methods run in the loop's own thread."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Say where to read newly assigned partitions from.

        Returns the same partitions: unchanged to start at the group's committed offset, or each with
        `offset` set (a number, or `OFFSET_BEGINNING`). `UnavailableError` is tried again after a pause.
        """

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget these partitions: another member reads them from now on, or already does."""

    def handle(self, messages: Sequence[Message]) -> None:
        """Make the effect of these messages durable. They are free of errors and in order per partition.

        Raises:
            UnavailableError: the store is down; the same messages come again.
            StreamRewindError: the store stands elsewhere; the loop goes on where it says.
        """


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """How to read."""

    bootstrap: str
    group: str
    topics: tuple[str, ...]
    batch_size: int = 1000
    linger_s: float = 0.1
    """Longest wait for a batch to fill: also the longest that a lone message waits."""
    busy_linger_s: float | None = None
    """The same once a batch had `BUSY_MESSAGES`: what a batch costs by itself is then shared by more."""
    commit_to_kafka: bool = False
    on_missing_offset: Literal["earliest", "latest", "error"] = "error"
    """Where to start when there is no offset, or retention has passed it by; `error` ends the loop."""


def consumer_config(options: ConsumerOptions, on_error: Callable[[KafkaError], None]) -> dict[str, object]:
    """The librdkafka configuration of a consumer."""
    return {
        "bootstrap.servers": options.bootstrap,
        "group.id": options.group,
        "group.protocol": "consumer",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": options.on_missing_offset,
        "allow.auto.create.topics": False,
        # Prefetch bound: frames are about 100 to 1,300 bytes, so this is 50k frames or more.
        "queued.max.messages.kbytes": 65_536,
        # A backlog arrives frame by frame: without a minimum the broker answers a fetch for each, which
        # costs it more than the frames do. A lone frame waits at most this half of the linger.
        "fetch.min.bytes": 65_536,
        "fetch.wait.max.ms": max(1, round(options.linger_s * 1000 / 2)),
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2_000,
        "log_level": 0,  # librdkafka's own lines would not be JSON; what matters arrives by error_cb
        "error_cb": on_error,
    }


def linger_after(options: ConsumerOptions, message_count: int) -> float:
    """How long the next batch may fill, in seconds, after one of so many messages."""
    if options.busy_linger_s is None or message_count < BUSY_MESSAGES:
        return options.linger_s
    return options.busy_linger_s


class BatchConsumer:
    """One member of a consumer group, handing batches to a handler until told to stop."""

    def __init__(self, options: ConsumerOptions, handler: BatchHandler, stop: threading.Event) -> None:
        self._options = options
        self._handler = handler
        self._stop = stop
        self._pause_s = _FIRST_PAUSE_S
        self._consumer = Consumer(consumer_config(options, KafkaErrorLog(options.group)))

    def run(self) -> None:
        """Consume until `stop` is set; the batch in hand is finished first.

        Raises:
            NotFoundError: a topic does not exist.
            StreamError: Kafka refuses to go on.
            PistonError: whatever the handler raises, except `UnavailableError`.
        """
        consumer = self._consumer
        try:
            self._require_topics()
            consumer.subscribe(
                list(self._options.topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
            linger_s = self._options.linger_s
            while not self._stop.is_set():
                messages = self._without_errors(consumer.consume(self._options.batch_size, linger_s))
                linger_s = linger_after(self._options, len(messages))
                if messages:
                    self._turn(messages)
        except KafkaException as error:
            raise _stream_error(error.args[0], self._options) from error
        finally:
            consumer.close()

    def _require_topics(self) -> None:
        """Refuse a missing topic: groups of KIP-848 would wait for it without a word."""
        try:
            read_identity(self._options.bootstrap, self._options.topics, _TOPICS_S)
        except UnavailableError as error:
            log.warning("consumer.kafka_unavailable", group=self._options.group, reason=str(error))

    def _turn(self, messages: list[Message]) -> None:
        try:
            self._handler.handle(messages)
        except UnavailableError as error:
            log.warning("consumer.store_unavailable", group=self._options.group, reason=str(error))
            self._rewind(messages)
            if isinstance(error, StreamRewindError):
                self._seek(error.partitions)
            self._wait()
            return
        self._pause_s = _FIRST_PAUSE_S
        if self._options.commit_to_kafka:
            self._commit(messages)

    def _commit(self, messages: Sequence[Message]) -> None:
        after = [
            TopicPartition(topic, partition, offset + 1)
            for (topic, partition), offset in _last_offsets(messages).items()
        ]
        try:
            self._consumer.commit(offsets=after, asynchronous=False)
        except KafkaException as error:
            # The effect is durable already; an offset that did not arrive costs a repetition.
            log.warning("consumer.commit_failed", group=self._options.group, code=error.args[0].name())

    def _rewind(self, messages: Sequence[Message]) -> None:
        for (topic, partition), offset in _first_offsets(messages).items():
            self._consumer.seek(TopicPartition(topic, partition, offset))

    def _seek(self, partitions: Sequence[TopicPartition]) -> None:
        ours = {(partition.topic, partition.partition) for partition in self._consumer.assignment()}
        for partition in partitions:
            if (partition.topic, partition.partition) in ours:
                self._consumer.seek(partition)

    def _wait(self) -> None:
        self._stop.wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        good: list[Message] = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.fatal() or not error.retriable():
                raise _stream_error(error, self._options)
            else:
                log.warning("consumer.transient_error", group=self._options.group, code=error.name())
        return good

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        while True:
            try:
                placed = self._handler.assigned(partitions)
            except UnavailableError as error:
                log.warning("consumer.store_unavailable", group=self._options.group, reason=str(error))
                self._wait()
                if self._stop.is_set():
                    raise
            else:
                break
        consumer.incremental_assign(list(placed))
        log.info("consumer.assigned", group=self._options.group, partitions=len(partitions))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._handler.revoked(partitions)
        consumer.incremental_unassign(partitions)
        log.info("consumer.revoked", group=self._options.group, partitions=len(partitions))


def _key(message: Message) -> tuple[str, int, int]:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        detail = "Kafka delivered a message without topic, partition or offset"
        raise StreamError(detail)
    return topic, partition, offset


def _first_offsets(messages: Sequence[Message]) -> dict[tuple[str, int], int]:
    first: dict[tuple[str, int], int] = {}
    for topic, partition, offset in map(_key, messages):
        first.setdefault((topic, partition), offset)
    return first


def _last_offsets(messages: Sequence[Message]) -> dict[tuple[str, int], int]:
    return {(topic, partition): offset for topic, partition, offset in map(_key, messages)}


def _stream_error(error: KafkaError, options: ConsumerOptions) -> StreamError:
    what = f"consumer group {options.group} cannot go on: {error.name()}, {error.str()}."
    if error.code() in _OFFSET_MISSING:
        return StreamError(
            f"{what} Retention or a new topic took away what it wanted to read, so frames are missing: "
            f"compare with the senders before resetting its offsets"
        )
    return StreamError(what)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, for the time of the block (main thread only)."""
    stop = threading.Event()

    def set_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, set_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
