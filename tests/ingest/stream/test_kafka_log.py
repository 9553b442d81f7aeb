import structlog
from confluent_kafka import KafkaError

from ingest.stream.kafka_log import KafkaErrorLog


def test_a_broker_that_is_down_is_one_line_in_ten_seconds():
    now = [100.0]
    log = KafkaErrorLog("producer", clock_s=lambda: now[0])
    with structlog.testing.capture_logs() as lines:
        for _ in range(50):
            log(KafkaError(KafkaError._TRANSPORT))
            now[0] += 0.1
        assert len(lines) == 1
        now[0] += 10.0
        log(KafkaError(KafkaError._TRANSPORT))
    assert [line["repeated"] for line in lines] == [0, 49]


def test_each_kind_of_error_has_its_own_line():
    log = KafkaErrorLog("producer", clock_s=lambda: 1.0)
    with structlog.testing.capture_logs() as lines:
        log(KafkaError(KafkaError._TRANSPORT))
        log(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert [line["code"] for line in lines] == ["_TRANSPORT", "_ALL_BROKERS_DOWN"]
