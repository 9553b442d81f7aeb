"""The alert writer: `telemetry.alerts.v1` into ClickHouse.

It is a part of `piston live`, in a thread and a consumer group of its own. Not of the sink: the sink's
promise is one PostgreSQL transaction, and a ClickHouse that is down must hold up neither rows nor live state.
In a group of its own it waits for ClickHouse alone, and Kafka keeps what waits.

Offsets go to Kafka after ClickHouse has answered. Dying in between repeats a batch, and what is there already
is left out, by its id.
"""

from collections.abc import Sequence

import structlog
from confluent_kafka import Message, TopicPartition
from prometheus_client import REGISTRY, CollectorRegistry, Counter

from ingest.alerts.alert import Alert, MalformedAlertError, decode
from ingest.alerts.history import AlertHistory

log = structlog.get_logger()


class AlertMetrics:
    """Figures of the alert writer for Prometheus."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.stored = Counter("piston_alerts_stored", "Alerts stored in ClickHouse.", registry=registry)
        self.repeated = Counter(
            "piston_alerts_repeated", "Alerts that were in ClickHouse already.", registry=registry
        )
        self.malformed = Counter(
            "piston_alerts_malformed", "Messages of the topic that are no alerts.", registry=registry
        )


class AlertWriter:
    """The alert writer as a `BatchHandler` of `ingest.stream.consumer`."""

    def __init__(self, history: AlertHistory, metrics: AlertMetrics) -> None:
        self._history = history
        self._metrics = metrics

    def assigned(self, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Start at the group's committed offsets."""
        return partitions

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing is kept per partition."""

    def handle(self, messages: Sequence[Message]) -> None:
        """Store the alerts of these messages, each once.

        Raises:
            UnavailableError: ClickHouse is down.
        """
        alerts: list[Alert] = []
        for message in messages:
            try:
                alerts.append(decode(message.value()))
            except MalformedAlertError as error:
                self._metrics.malformed.inc()
                log.error(
                    "alerts.malformed",
                    reason=str(error),
                    partition=message.partition(),
                    offset=message.offset(),
                )
        stored = self._history.store(alerts)
        self._metrics.stored.inc(stored)
        self._metrics.repeated.inc(len(alerts) - stored)
        log.debug("alerts.batch", messages=len(messages), stored=stored)
