"""Which offsets the logs of partitions hold, asked of Kafka until the brokers that lead them answer."""

import time
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from telematics.errors import UnavailableError
from telematics.names import KAFKA_PARTITIONS, Topic

Partition = tuple[str, int]
"""Topic and number."""

_TIMEOUT_S: Final = 10.0
_RETRY_S: Final = 0.25


class LogSpan(NamedTuple):
    """The offsets that a partition's log holds."""

    start: int
    """Of the oldest message that retention has left."""
    end: int
    """Of the next message that will be written."""


def partitions_of(topic: Topic) -> list[Partition]:
    """All partitions of one of our topics."""
    return [(topic, number) for number in range(KAFKA_PARTITIONS)]


def read_spans(
    bootstrap: str, partitions: Collection[Partition], timeout_s: float = _TIMEOUT_S
) -> Mapping[Partition, LogSpan]:
    """The oldest and the next offset of each partition.

    A topic that was just made, or a broker that just started, has no leader for a moment, which librdkafka
    hands on as an error: hence it is asked again.

    Args:
        bootstrap: Kafka's addresses.
        partitions: of any topics.
        timeout_s: after it an answer that does not come, or is an error, is the last one.

    Raises:
        UnavailableError: Kafka does not answer, or there is no such partition.
    """
    if not partitions:
        return {}
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    earliest: Any = OffsetSpec.earliest
    latest: Any = OffsetSpec.latest
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            starts, ends = (_read(admin, partitions, spec, deadline) for spec in (earliest(), latest()))
            return {partition: LogSpan(starts[partition], ends[partition]) for partition in partitions}
        except (KafkaException, TimeoutError) as error:
            if time.monotonic() + _RETRY_S > deadline:
                reason = error.args[0].name() if isinstance(error, KafkaException) else "no answer"
                message = (
                    f"Kafka at {bootstrap} does not tell its offsets ({reason}); is the stack up (`piston "
                    f"status`, PISTON_KAFKA_PORT)?"
                )
                raise UnavailableError(message) from error
        time.sleep(_RETRY_S)


def _read(
    admin: AdminClient, partitions: Collection[Partition], spec: OffsetSpec, deadline: float
) -> dict[Partition, int]:
    left_s = max(deadline - time.monotonic(), _RETRY_S)
    wanted = {TopicPartition(topic, number): spec for topic, number in partitions}
    futures = admin.list_offsets(wanted, request_timeout=left_s)
    return {(place.topic, place.partition): future.result(left_s).offset for place, future in futures.items()}
