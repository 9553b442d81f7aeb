"""Alerts to `telemetry.alerts.v1`, waited for: `publish` returns when Kafka has confirmed every one."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingest.alerts import alert as alerts_form
from ingest.alerts.alert import Alert
from ingest.stream.kafka_log import KafkaErrorLog
from ingest.stream.messages import Headers
from ingest.stream.producer import ProducerOptions, producer_config
from telematics.errors import UnavailableError
from telematics.names import Topic

_DELIVERY_S: Final = 20.0
_FULL_QUEUE_POLL_S: Final = 0.05
_HEADERS: Final[Headers] = [("content-type", alerts_form.CONTENT_TYPE)]


class AlertsUndeliveredError(UnavailableError):
    """Kafka did not confirm every alert; some may be there, so send all again: their ids stay the same."""


class AlertPublisher(Protocol):
    """What the live writer needs."""

    def publish(self, alerts: Sequence[Alert]) -> None:
        """Make alerts durable, in order per vehicle.

        Raises:
            AlertsUndeliveredError: not all of them are.
        """


class KafkaAlertPublisher:
    """An `AlertPublisher` with a producer of its own, made when first needed and again after a failure."""

    def __init__(
        self,
        bootstrap: str,
        delivery_s: float = _DELIVERY_S,
        make: Callable[[dict[str, Any]], Any] = Producer,
    ) -> None:
        """A publisher; `delivery_s` bounds one `publish`."""
        options = ProducerOptions(bootstrap, Topic.ALERTS.value, delivery_timeout_s=delivery_s)
        self._config = producer_config(options, KafkaErrorLog("alerts"))
        self._delivery_s = delivery_s
        self._make = make
        self._producer: Any = None

    def publish(self, alerts: Sequence[Alert]) -> None:
        """Send alerts and wait until all are durable.

        Raises:
            AlertsUndeliveredError: not all of them are.
        """
        if not alerts:
            return
        failures: list[str] = []

        def report(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error.name())

        deadline = time.monotonic() + self._delivery_s
        try:
            if self._producer is None:
                self._producer = self._make(self._config)
            for alert in alerts:
                self._produce(alert, report, deadline)
            remaining = self._producer.flush(max(0.0, deadline - time.monotonic()) + 1.0)
        except KafkaException as error:
            failures.append(error.args[0].name())
            remaining = 0
        if failures or remaining:
            self.close()
            reason = failures[0] if failures else "no answer"
            message = f"Kafka does not take alerts now ({reason}); `piston status` shows it"
            raise AlertsUndeliveredError(message)

    def close(self) -> None:
        """Let go of the producer; what it still held is dropped, and whoever sent it was told."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            producer.purge()
            producer.flush(1.0)

    def _produce(
        self, alert: Alert, report: Callable[[KafkaError | None, Message], None], deadline: float
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    Topic.ALERTS.value,
                    alerts_form.encode(alert),
                    alert.vin.encode(),
                    headers=_HEADERS,
                    on_delivery=report,
                )
            except BufferError as error:
                if time.monotonic() > deadline:
                    message = "Kafka does not take alerts now (queue full); `piston status` shows it"
                    raise AlertsUndeliveredError(message) from error
                self._producer.poll(_FULL_QUEUE_POLL_S)
            else:
                return
