"""Producer and consumer loop against the real broker."""

import asyncio
import threading
import uuid
from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ingest.stream.consumer import BatchConsumer, ConsumerOptions, StreamError, StreamRewindError
from ingest.stream.identity import read_identity
from ingest.stream.messages import Transport, decode_frame, encode_headers
from ingest.stream.producer import KafkaFrameProducer, ProducerOptions
from telematics.errors import ConflictError, NotFoundError, UnavailableError
from telematics.names import Topic
from telematics.settings import Settings

pytestmark = pytest.mark.integration

IMEIS = [b"%015d" % (350_000_000_000_000 + number) for number in range(5)]


@pytest.fixture
def topic(stack: Settings) -> Iterator[str]:
    """A topic of its own, three partitions."""
    name = f"test.stream.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    admin.create_topics([NewTopic(name, 3, 1)])[name].result(20)
    yield name
    admin.delete_topics([name])[name].result(20)


async def produce(bootstrap: str, topic: str, count: int) -> list[tuple[int, bool]]:
    producer: KafkaFrameProducer[int] = KafkaFrameProducer(ProducerOptions(bootstrap, topic))
    reports: list[tuple[int, bool]] = []
    producer.start(reports.extend)
    for number in range(count):
        headers = encode_headers(1_760_000_000_000 + number, Transport.TCP)
        assert producer.send(IMEIS[number % len(IMEIS)], b"\x00\xff frame %d" % number, headers, number)
    assert await producer.flush(20.0) == 0
    await producer.close()
    return reports


class Recorder:
    """Keeps what it handled; can fail, and stops the loop at a goal."""

    def __init__(self, goal: int, stop: threading.Event) -> None:
        self.goal, self.stop = goal, stop
        self.handled: list[Message] = []
        self.batches: list[int] = []
        self.failures: list[Exception] = []
        self.start_at: int | None = None
        self.assigned_partitions: set[int] = set()

    def assigned(self, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        self.assigned_partitions.update(partition.partition for partition in partitions)
        if self.start_at is not None:
            for partition in partitions:
                partition.offset = self.start_at
        return partitions

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.assigned_partitions.difference_update(partition.partition for partition in partitions)

    def handle(self, messages: Sequence[Message]) -> None:
        if self.failures:
            raise self.failures.pop()
        self.batches.append(len(messages))
        self.handled.extend(messages)
        if len(self.handled) >= self.goal:
            self.stop.set()


def consume(options: ConsumerOptions, recorder: Recorder) -> Recorder:
    guard = threading.Timer(30.0, recorder.stop.set)
    guard.start()
    try:
        BatchConsumer(options, recorder, recorder.stop).run()
    finally:
        guard.cancel()
    return recorder


def test_frames_come_out_as_they_went_in_and_in_order_for_each_device(stack: Settings, topic: str):
    reports = asyncio.run(produce(stack.kafka_bootstrap, topic, 100))
    assert sorted(reports) == [(number, True) for number in range(100)]
    recorder = Recorder(100, threading.Event())
    recorder.start_at = OFFSET_BEGINNING
    options = ConsumerOptions(stack.kafka_bootstrap, f"{topic}.group", (topic,), batch_size=30, linger_s=0.05)
    consume(options, recorder)
    frames = [decode_frame(message) for message in recorder.handled]
    assert sorted(frame.received_at_ms - 1_760_000_000_000 for frame in frames) == list(range(100))
    assert all(size <= 30 for size in recorder.batches)
    for imei in IMEIS:
        times = [frame.received_at_ms for frame in frames if frame.imei == imei.decode()]
        assert times == sorted(times)
    assert {frame.frame for frame in frames} == {b"\x00\xff frame %d" % number for number in range(100)}
    assert recorder.assigned_partitions == set()


def test_a_batch_whose_store_was_down_comes_again_and_then_goes_on(stack: Settings, topic: str):
    asyncio.run(produce(stack.kafka_bootstrap, topic, 20))
    recorder = Recorder(20, threading.Event())
    recorder.start_at = OFFSET_BEGINNING
    recorder.failures = [UnavailableError("down"), UnavailableError("down")]
    consume(ConsumerOptions(stack.kafka_bootstrap, f"{topic}.group", (topic,), linger_s=0.05), recorder)
    assert len({message.value() for message in recorder.handled}) == len(recorder.handled) == 20


@pytest.mark.parametrize("back_to", [0, OFFSET_BEGINNING])
def test_a_handler_whose_store_fell_back_gets_what_it_lost_again(stack: Settings, topic: str, back_to: int):
    class Forgetful(Recorder):
        """Falls back to the start of every partition once it has seen everything."""

        def handle(self, messages: Sequence[Message]) -> None:
            if len(self.handled) + len(messages) >= 20 and not self.batches:
                self.batches.append(0)
                self.handled.clear()
                places = [TopicPartition(topic, number, back_to) for number in range(3)]
                message = "fell back"
                raise StreamRewindError(message, [*places, TopicPartition(topic, 99, 0)])
            self.handled.extend(messages)
            if len(self.handled) >= 20 and self.batches:
                self.stop.set()

    asyncio.run(produce(stack.kafka_bootstrap, topic, 20))
    recorder = Forgetful(20, threading.Event())
    recorder.start_at = OFFSET_BEGINNING
    consume(ConsumerOptions(stack.kafka_bootstrap, f"{topic}.group", (topic,), linger_s=0.05), recorder)
    assert sorted(message.value() or b"" for message in recorder.handled) == sorted(
        b"\x00\xff frame %d" % number for number in range(20)
    )


def test_committed_offsets_are_where_the_next_member_starts(stack: Settings, topic: str):
    asyncio.run(produce(stack.kafka_bootstrap, topic, 10))
    options = ConsumerOptions(
        stack.kafka_bootstrap,
        f"{topic}.group",
        (topic,),
        linger_s=0.05,
        commit_to_kafka=True,
        on_missing_offset="earliest",
    )
    assert len(consume(options, Recorder(10, threading.Event())).handled) == 10
    asyncio.run(produce(stack.kafka_bootstrap, topic, 3))
    again = consume(options, Recorder(3, threading.Event()))
    assert sorted(message.value() or b"" for message in again.handled) == [
        b"\x00\xff frame %d" % number for number in range(3)
    ]


def test_any_other_failure_of_the_handler_ends_the_loop(stack: Settings, topic: str):
    asyncio.run(produce(stack.kafka_bootstrap, topic, 1))
    recorder = Recorder(1, threading.Event())
    recorder.start_at = OFFSET_BEGINNING
    recorder.failures = [ConflictError("another cluster")]
    with pytest.raises(ConflictError, match="another cluster"):
        consume(ConsumerOptions(stack.kafka_bootstrap, f"{topic}.group", (topic,)), recorder)


def test_an_offset_that_retention_took_away_ends_the_loop_with_a_sentence(stack: Settings, topic: str):
    asyncio.run(produce(stack.kafka_bootstrap, topic, 5))
    recorder = Recorder(1, threading.Event())
    recorder.start_at = 1_000_000
    with pytest.raises(StreamError, match="frames are missing"):
        consume(ConsumerOptions(stack.kafka_bootstrap, f"{topic}.group", (topic,)), recorder)
    assert recorder.handled == []


def test_a_topic_that_does_not_exist_ends_the_loop_with_what_to_do(stack: Settings):
    options = ConsumerOptions(stack.kafka_bootstrap, "test.missing.group", ("no.such.topic",))
    with pytest.raises(NotFoundError, match="piston up"):
        consume(options, Recorder(1, threading.Event()))


def test_a_topic_made_anew_has_another_id(stack: Settings, topic: str):
    first = read_identity(stack.kafka_bootstrap, [topic, Topic.AVL_FRAMES])
    assert first == read_identity(stack.kafka_bootstrap, [topic, Topic.AVL_FRAMES])
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    admin.delete_topics([topic])[topic].result(20)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    second = read_identity(stack.kafka_bootstrap, [topic])
    assert second.cluster_id == first.cluster_id
    assert second.topic_ids[topic] != first.topic_ids[topic]


def test_a_missing_topic_and_a_missing_broker_are_told_apart(stack: Settings):
    with pytest.raises(NotFoundError, match="piston up"):
        read_identity(stack.kafka_bootstrap, ["no.such.topic"])
    with pytest.raises(UnavailableError, match="does not answer"):
        read_identity("127.0.0.1:1", ["no.such.topic"], timeout_s=0.3)
