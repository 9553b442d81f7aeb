"""Messages into Kafka that must be durable before the caller goes on: all of them confirmed, or an error."""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingest.stream.kafka_log import KafkaErrorLog
from ingest.stream.messages import Headers
from ingest.stream.producer import ProducerOptions, producer_config
from telematics.errors import UnavailableError

_DELIVERY_S: Final = 20.0
_FULL_QUEUE_POLL_S: Final = 0.05


class Outgoing(NamedTuple):
    """A message to be sent."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


class UndeliveredError(UnavailableError):
    """Kafka did not confirm every message; some may be there. `reason` is its word for why."""

    def __init__(self, bootstrap: str, reason: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} did not confirm what was sent ({reason}); is the stack up "
            f"(`piston status`)?"
        )
        self.reason = reason


class DurablePublisher:
    """A blocking producer: idempotent, acks=all, the gateway's partitioner, so devices stay in order."""

    def __init__(self, bootstrap: str, client: str, delivery_s: float = _DELIVERY_S) -> None:
        """A publisher.

        Args:
            bootstrap: Kafka.
            client: names it in log lines.
            delivery_s: bounds one `publish`, in seconds.
        """
        self._bootstrap = bootstrap
        self._client = client
        self._delivery_s = delivery_s
        self._producer: Producer | None = None

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Make messages durable, in their order per key.

        Raises:
            UndeliveredError: not all of them are known to be.
        """
        failures: list[str] = []

        def report(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error.name())

        deadline = time.monotonic() + self._delivery_s
        try:
            producer = self._producer = self._producer or self._make()
            for topic, key, value, headers in messages:
                while True:
                    try:
                        producer.produce(topic, value, key, headers=headers, on_delivery=report)
                    except BufferError:
                        if time.monotonic() > deadline:
                            raise
                        producer.poll(_FULL_QUEUE_POLL_S)
                    else:
                        break
            if producer.flush(max(0.0, deadline - time.monotonic()) + 1.0):
                failures.append("no answer")
        except KafkaException as error:
            failures.append(error.args[0].name())
        except BufferError:
            failures.append("queue full")
        if failures:
            self.close()
            raise UndeliveredError(self._bootstrap, failures[0])

    def close(self) -> None:
        """Let go of the producer; what it still held is dropped, and whoever sent it was told."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(1.0)

    def _make(self) -> Producer:
        options = ProducerOptions(self._bootstrap, "", linger_ms=0.0, delivery_timeout_s=self._delivery_s)
        return Producer(producer_config(options, KafkaErrorLog(self._client)))
