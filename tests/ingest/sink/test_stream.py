"""The sink on a real Kafka: where it starts, and when it refuses to."""

import secrets
import threading
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from ingest.sink.decoding import PythonFrameDecoder
from ingest.sink.errors import StreamMismatchError
from ingest.sink.metrics import SinkMetrics
from ingest.sink.run import TOPICS
from ingest.sink.service import Sink
from ingest.sink.store import TelemetryStore
from ingest.stream.consumer import BatchConsumer, ConsumerOptions, StreamError
from ingest.stream.identity import StreamIdentity, read_identity
from ingest.stream.messages import Transport, encode_headers
from telematics.names import KAFKA_PARTITIONS, Topic
from telematics.settings import Settings
from tests.ingest.making import NOON_MS, fresh_imei, make_frame, make_record

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


class SinkRun:
    """A sink in a thread, in a group of its own."""

    def __init__(self, settings: Settings) -> None:
        self.group = f"test.{secrets.token_hex(6)}"
        self.identity = read_identity(settings.kafka_bootstrap, TOPICS)
        self.error: BaseException | None = None
        self._settings = settings
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def remember(self, next_offset: int, identity: StreamIdentity) -> None:
        """Offsets as an earlier sink would have left them."""
        with psycopg.connect(self._settings.timescale_dsn()) as connection:
            for partition in range(KAFKA_PARTITIONS):
                connection.execute(
                    "insert into stream_offsets (consumer_group, topic, partition, cluster_id, topic_id,"
                    " next_offset) values (%s, %s, %s, %s, %s, %s)",
                    (
                        self.group,
                        Topic.AVL_FRAMES,
                        partition,
                        identity.cluster_id,
                        identity.topic_ids[Topic.AVL_FRAMES],
                        next_offset,
                    ),
                )

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self, patience_s: float = 40) -> BaseException | None:
        """How it ended."""
        assert self._thread is not None
        self._thread.join(patience_s)
        assert not self._thread.is_alive(), "the sink goes on"
        return self.error

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self) -> None:
        sink = Sink(
            TelemetryStore(self._settings),
            PythonFrameDecoder(),
            partial(read_identity, self._settings.kafka_bootstrap, TOPICS),
            self.group,
            SinkMetrics(CollectorRegistry()),
        )
        options = ConsumerOptions(
            bootstrap=self._settings.kafka_bootstrap,
            group=self.group,
            topics=TOPICS,
            on_missing_offset="error",
        )
        try:
            BatchConsumer(options, sink, self._stop).run()
        except (StreamError, StreamMismatchError) as error:
            self.error = error
        finally:
            sink.close()


@pytest.fixture
def run(stack: Settings) -> Iterator[SinkRun]:
    run = SinkRun(stack)
    yield run
    run.stop()


def stored(settings: Settings, imei: str) -> int:
    with psycopg.connect(settings.timescale_dsn()) as connection:
        row = connection.execute("select count(*) from telemetry where device_id = %s", (imei,)).fetchone()
    return int(row[0]) if row else 0


def wait_until(condition: Callable[[], bool], patience_s: float = 40) -> None:
    pause = threading.Event()
    for _ in range(int(patience_s / 0.1)):
        if condition():
            return
        pause.wait(0.1)
    assert condition()


def test_a_sink_without_offsets_reads_the_topic_from_its_beginning(stack: Settings, run: SinkRun) -> None:
    imei = fresh_imei()
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap})
    for number in range(3):
        producer.produce(
            Topic.AVL_FRAMES,
            make_frame(make_record(NOON_MS + number)),
            imei.encode(),
            headers=encode_headers(NOON_MS, Transport.TCP),
        )
    assert producer.flush(20) == 0
    run.start()
    wait_until(lambda: stored(stack, imei) == 3)
    run.stop()
    assert run.error is None


def test_an_offset_that_kafka_does_not_have_stops_the_sink_and_skips_nothing(
    stack: Settings, run: SinkRun
) -> None:
    run.remember(10**12, run.identity)
    run.start()
    assert isinstance(run.wait(), StreamError)
    assert "cannot go on" in str(run.error)


@pytest.mark.parametrize("what", ["cluster", "topic"])
def test_offsets_of_another_stream_stop_the_sink(run: SinkRun, what: str) -> None:
    ids = run.identity.topic_ids
    other = {
        "cluster": StreamIdentity("another", ids),
        "topic": StreamIdentity(run.identity.cluster_id, dict.fromkeys(ids, "another")),
    }
    run.remember(0, other[what])
    run.start()
    assert isinstance(run.wait(), StreamMismatchError)
    assert f"another {what}" in str(run.error)
