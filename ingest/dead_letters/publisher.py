"""One letter at a time into Kafka, each confirmed before the next."""

from typing import Final

from ingest.stream.messages import Headers
from ingest.stream.publisher import DurablePublisher, Outgoing, UndeliveredError
from telematics.errors import UnavailableError

_DELIVERY_S: Final = 20.0


class KafkaMessagePublisher:
    """A `MessagePublisher` over confluent-kafka: idempotent, acks=all, the gateway's partitioner."""

    def __init__(self, bootstrap: str, delivery_s: float = _DELIVERY_S) -> None:
        """A publisher; `delivery_s` bounds one `publish`."""
        self._publisher = DurablePublisher(bootstrap, "replay", delivery_s)

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        """Make a message durable.

        Raises:
            UnavailableError: Kafka did not confirm it.
        """
        try:
            self._publisher.publish([Outgoing(topic, key, value, headers)])
        except UndeliveredError as error:
            message = f"the letter stays open: {error}"
            raise UnavailableError(message) from error
