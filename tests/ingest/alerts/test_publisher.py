"""The publisher over a producer that a test holds in its hands."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from confluent_kafka import KafkaError

from ingest.alerts.publisher import AlertsUndeliveredError, KafkaAlertPublisher
from tests.ingest.alerts.making import make_alert


class FakeProducer:
    """Reports every message as `error` says; has room for `room` messages between two polls."""

    def __init__(self, error: KafkaError | None = None, room: int = 1000, stuck: int = 0) -> None:
        self.error, self.room, self.stuck = error, room, stuck
        self.sent: list[tuple[bytes, bytes]] = []
        self._reports: list[Callable[..., None]] = []

    def produce(self, topic: str, value: bytes, key: bytes, headers: Any, on_delivery: Any) -> None:
        if len(self._reports) >= self.room:
            raise BufferError
        self.sent.append((key, value))
        self._reports.append(on_delivery)

    def poll(self, _timeout_s: float) -> None:
        reports, self._reports = self._reports, []
        for report in reports:
            report(self.error, None)

    def flush(self, _timeout_s: float) -> int:
        self.poll(0)
        return self.stuck

    def purge(self) -> None:
        self._reports.clear()


def publisher(*producers: FakeProducer, delivery_s: float = 5.0) -> KafkaAlertPublisher:
    left = list(producers)
    return KafkaAlertPublisher("nowhere:1", delivery_s, lambda _config: left.pop(0))


def test_alerts_are_keyed_by_their_vehicle() -> None:
    producer = FakeProducer()
    publisher(producer).publish([make_alert(), make_alert(vin="0VE00000000000018")])
    assert [key for key, _ in producer.sent] == [b"0VE00000000000017", b"0VE00000000000018"]
    assert orjson.loads(producer.sent[0][1])["id"] == make_alert().alert_id


def test_without_alerts_no_producer_is_made() -> None:
    publisher().publish([])


def test_a_full_queue_is_waited_for() -> None:
    producer = FakeProducer(room=2)
    publisher(producer).publish([make_alert(code=str(number)) for number in range(7)])
    assert len(producer.sent) == 7


def test_a_queue_that_stays_full_is_told() -> None:
    with pytest.raises(AlertsUndeliveredError, match="queue full"):
        publisher(FakeProducer(room=0), delivery_s=0.0).publish([make_alert()])


@pytest.mark.parametrize(
    "broken", [FakeProducer(KafkaError(KafkaError._MSG_TIMED_OUT)), FakeProducer(stuck=1)]
)
def test_what_is_not_confirmed_is_told_and_goes_out_by_a_new_producer(broken: FakeProducer) -> None:
    fresh = FakeProducer()
    sender = publisher(broken, fresh)
    with pytest.raises(AlertsUndeliveredError):
        sender.publish([make_alert()])
    sender.publish([make_alert()])
    assert fresh.sent == broken.sent
