"""Without a broker: what is promised when Kafka is down."""

import asyncio
import time

from ingest.stream.producer import KafkaFrameProducer, ProducerOptions

NOWHERE = "127.0.0.1:1"


def make_producer(**overrides: object) -> KafkaFrameProducer[int]:
    return KafkaFrameProducer(ProducerOptions(NOWHERE, "frames", **overrides))  # type: ignore[arg-type]


async def test_a_message_that_kafka_does_not_take_in_time_is_reported_as_failed():
    producer = make_producer(delivery_timeout_s=0.4)
    reports: list[tuple[int, bool]] = []
    producer.start(reports.extend)
    assert producer.send(b"k", b"v", [], 1)
    assert producer.send(b"k", b"v", [], 2)
    assert len(producer) == 2
    assert await producer.flush(5.0) == 0
    assert reports == [(1, False), (2, False)]
    await producer.close()


async def test_a_full_queue_says_no_and_has_room_again_after_reports():
    producer = make_producer(delivery_timeout_s=0.4, queue_messages=3)
    reports: list[tuple[int, bool]] = []
    producer.start(reports.extend)
    assert [producer.send(b"k", b"v", [], token) for token in range(4)] == [True, True, True, False]
    await producer.flush(5.0)
    assert [token for token, _ in reports] == [0, 1, 2]
    assert producer.send(b"k", b"v", [], 4)
    await producer.close()


async def test_the_queue_is_bounded_in_bytes():
    producer = make_producer(queue_kbytes=1024)
    producer.start(lambda _reports: None)
    taken = 0
    while producer.send(b"k", bytes(100_000), [], taken):
        taken += 1
    assert 9 <= taken <= 11
    await producer.close()


async def test_flush_gives_up_after_its_time_and_close_reports_the_rest_as_failed():
    producer = make_producer()
    reports: list[tuple[int, bool]] = []
    producer.start(reports.extend)
    producer.send(b"k", b"v", [], 1)
    before = time.monotonic()
    assert await producer.flush(0.1) == 1
    assert time.monotonic() - before < 1.0
    assert reports == []
    await producer.close()
    assert reports == [(1, False)]
    assert len(producer) == 0


class CountingProducer(KafkaFrameProducer[int]):
    polls = 0

    def _poll(self) -> None:
        self.polls += 1
        super()._poll()


async def test_an_outage_is_not_looked_at_a_thousand_times_a_second():
    producer = CountingProducer(ProducerOptions(NOWHERE, "frames"))
    producer.start(lambda _reports: None)
    producer.send(b"k", b"v", [], 1)
    await asyncio.sleep(1.0)
    assert 5 < producer.polls < 200
    await producer.close()


async def test_reports_of_one_poll_come_as_one_batch_in_the_loop():
    producer = make_producer(delivery_timeout_s=0.4)
    batches: list[int] = []
    loop = asyncio.get_running_loop()

    def deliver(reports: object) -> None:
        assert asyncio.get_running_loop() is loop
        batches.append(len(reports))  # type: ignore[arg-type]

    producer.start(deliver)
    for token in range(100):
        producer.send(b"k", b"v", [], token)
    await producer.flush(5.0)
    assert sum(batches) == 100
    assert len(batches) < 20
    await producer.close()
