"""Which offsets the logs of partitions hold, asked of Kafka."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from ingest.live.offsets import LogSpan, Partition
from telematics.errors import UnavailableError

_TIMEOUT_S: Final = 10.0


def read_spans(bootstrap: str, partitions: Collection[Partition]) -> Mapping[Partition, LogSpan]:
    """The oldest and the next offset of each partition.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    if not partitions:
        return {}
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        earliest: Any = OffsetSpec.earliest
        latest: Any = OffsetSpec.latest
        starts, ends = (_read(admin, partitions, spec) for spec in (earliest(), latest()))
    except (KafkaException, TimeoutError) as error:
        message = (
            f"Kafka at {bootstrap} does not tell its offsets; is the stack up (`piston status`, "
            f"PISTON_KAFKA_PORT)?"
        )
        raise UnavailableError(message) from error
    return {partition: LogSpan(starts[partition], ends[partition]) for partition in partitions}


def _read(admin: AdminClient, partitions: Collection[Partition], spec: OffsetSpec) -> dict[Partition, int]:
    wanted = {TopicPartition(topic, number): spec for topic, number in partitions}
    futures = admin.list_offsets(wanted, request_timeout=_TIMEOUT_S)
    return {
        (place.topic, place.partition): future.result(_TIMEOUT_S).offset for place, future in futures.items()
    }
