"""One message at a time into Kafka, each confirmed before the next."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingest.stream.kafka_log import KafkaErrorLog
from ingest.stream.messages import Headers
from ingest.stream.producer import ProducerOptions, producer_config
from telematics.errors import UnavailableError

_DELIVERY_S: Final = 20.0


class KafkaMessagePublisher:
    """A `MessagePublisher` over confluent-kafka: idempotent, acks=all, the gateway's partitioner."""

    def __init__(self, bootstrap: str, delivery_s: float = _DELIVERY_S) -> None:
        """A publisher; `delivery_s` bounds one `publish`."""
        self._bootstrap = bootstrap
        self._delivery_s = delivery_s
        options = ProducerOptions(bootstrap, "", linger_ms=0.0, delivery_timeout_s=delivery_s)
        self._producer = Producer(producer_config(options, KafkaErrorLog("replay")))

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        """Make a message durable.

        Raises:
            UnavailableError: Kafka did not confirm it.
        """
        reports: list[KafkaError | None] = []

        def report(error: KafkaError | None, _message: Message) -> None:
            reports.append(error)

        try:
            self._producer.produce(topic, value, key, headers=headers, on_delivery=report)
            self._producer.flush(self._delivery_s + 1.0)
        except KafkaException as error:
            reports.append(error.args[0])
        if reports != [None]:
            reason = reports[0].name() if reports and reports[0] is not None else "no answer"
            message = (
                f"Kafka at {self._bootstrap} did not confirm the message ({reason}); its letter stays open. "
                f"Is the stack up (`piston status`)?"
            )
            raise UnavailableError(message)
