"""Who settles a device's quarantine when two want to, or Kafka does not."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from ingest.quarantine import repository, service
from ingest.quarantine.topic import Incarnation, QuarantineTopic
from ingest.registry.models import NewDevice
from ingest.registry.repository import Connection, add_device, connect
from ingest.stream.messages import Transport, encode_headers
from ingest.stream.publisher import DurablePublisher, Outgoing, UndeliveredError
from telematics.errors import ConflictError, UnavailableError
from telematics.names import Origin, Topic
from telematics.settings import Settings
from tests.ingest.making import NOON_MS, fresh_imei, fresh_vin, make_frame, make_record
from tests.ingest.services import free_port

pytestmark = pytest.mark.integration

HERE = Incarnation("cluster-1", "topic-1")


class Publisher:
    """Keeps what it is given, or refuses it."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.sent: list[Outgoing] = []
        self._is_down = is_down

    def publish(self, messages: Sequence[Outgoing]) -> None:
        if self._is_down:
            message = "Kafka is down"
            raise UnavailableError(message)
        self.sent += messages


@pytest.fixture
def connection(stack: Settings) -> Iterator[Connection]:
    with connect(stack, "test") as opened:
        opened.autocommit = True
        yield opened


@pytest.fixture
def topic(stack: Settings) -> Iterator[QuarantineTopic]:
    with closing(QuarantineTopic(stack.kafka_bootstrap)) as opened:
        yield opened


@pytest.fixture
def imei(connection: Connection) -> str:
    imei = fresh_imei()
    with connection.transaction():
        add_device(connection, NewDevice(imei, fresh_vin(), origin=Origin.RECORDED), "test")
    return imei


def keep(settings: Settings, imei: str, *values: bytes) -> None:
    """Put messages into quarantine, as a gateway does."""
    headers = encode_headers(NOON_MS, Transport.TCP)
    publisher = DurablePublisher(settings.kafka_bootstrap, "test")
    publisher.publish([Outgoing(Topic.QUARANTINE, imei.encode(), value, headers) for value in values])


def frames(count: int) -> list[bytes]:
    return [make_frame(make_record(NOON_MS + number)) for number in range(count)]


def test_what_kafka_does_not_take_waits_still(
    stack: Settings, connection: Connection, topic: QuarantineTopic, imei: str
) -> None:
    keep(stack, imei, *frames(3))
    with pytest.raises(UnavailableError):
        service.replay(connection, topic, Publisher(is_down=True), imei, "test")
    assert len(list(service.waiting_frames(connection, topic, imei))) == 3
    publisher = Publisher()
    assert service.replay(connection, topic, publisher, imei, "test").frame_count == 3
    assert [item.value for item in publisher.sent] == frames(3)
    assert service.replay(connection, topic, Publisher(), imei, "test").frame_count == 0


def test_many_frames_go_part_by_part_in_order(
    stack: Settings, connection: Connection, topic: QuarantineTopic, imei: str
) -> None:
    keep(stack, imei, *frames(1_234))
    publisher = Publisher()
    assert service.replay(connection, topic, publisher, imei, "test").record_count == 1_234
    assert [item.value for item in publisher.sent] == frames(1_234)
    (count,) = connection.execute(
        "select count(*) from audit_events where subject = %s and action = 'quarantine.replay'", (imei,)
    ).fetchone() or (0,)
    assert count == 3


def test_what_others_wrote_into_the_topic_is_counted_and_passed_over(
    stack: Settings, connection: Connection, topic: QuarantineTopic, imei: str
) -> None:
    DurablePublisher(stack.kafka_bootstrap, "test").publish(
        [Outgoing(Topic.QUARANTINE, b"nobody", b"", []), Outgoing(Topic.QUARANTINE, imei.encode(), b"x", [])]
    )
    keep(stack, imei, *frames(1))
    assert service.list_waiting(connection, topic)[imei].frame_count == 1
    assert topic.malformed_count >= 2


def test_of_two_that_settle_the_same_frames_the_second_is_told(
    stack: Settings, connection: Connection
) -> None:
    imei = fresh_imei()
    with connect(stack, "test") as other:
        repository.take(other, imei, HERE, 0, None)
        connection.execute("set lock_timeout = '200ms'")
        with pytest.raises(Exception, match="lock timeout"):
            repository.take(connection, imei, HERE, 0, None)
        repository.settle(other, imei, 0, 7)
        other.commit()
    with pytest.raises(ConflictError, match="just now"):
        repository.take(connection, imei, HERE, 0, None)
    repository.take(connection, imei, HERE, 0, 7)
    assert repository.read_settled(connection, HERE)[imei] == {0: 7}


def test_a_topic_that_was_made_anew_counts_from_its_beginning(connection: Connection) -> None:
    imei, anew = fresh_imei(), Incarnation("cluster-1", "topic-2")
    repository.take(connection, imei, HERE, 0, None)
    repository.settle(connection, imei, 0, 7)
    assert imei not in repository.read_settled(connection, anew)
    repository.take(connection, imei, anew, 0, None)
    repository.settle(connection, imei, 0, 2)
    assert repository.read_settled(connection, anew)[imei] == {0: 2}


def test_a_kafka_that_is_down_is_told_and_the_next_publish_starts_anew() -> None:
    publisher = DurablePublisher(f"127.0.0.1:{free_port()}", "test", delivery_s=0.5)
    for _ in range(2):
        with pytest.raises(UndeliveredError, match="piston status"):
            publisher.publish([Outgoing("telemetry.test", b"k", b"v", [])])
