"""Which cluster and which incarnation of a topic we talk to.

Offsets mean nothing without it: a topic that was deleted and made again starts at 0, and an offset kept
elsewhere (the sink keeps its own in PostgreSQL) would silently skip or repeat frames. Kafka gives every
cluster and every topic incarnation an id of its own (KIP-516); the sink compares them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from telematics.errors import NotFoundError, UnavailableError

_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """Id of the cluster and of each topic asked for."""

    cluster_id: str
    topic_ids: Mapping[str, str]


def read_identity(bootstrap: str, topics: Collection[str], timeout_s: float = _TIMEOUT_S) -> StreamIdentity:
    """The ids of the cluster at `bootstrap` and of these topics.

    Raises:
        NotFoundError: a topic does not exist there.
        UnavailableError: Kafka does not answer within `timeout_s`.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        # describe_topics of a missing topic is a per-topic error, told apart here from a dead broker
        metadata = admin.list_topics(timeout=timeout_s)
        missing = sorted(str(topic) for topic in topics if topic not in metadata.topics)
        if missing:
            message = f"Kafka at {bootstrap} has no topic {', '.join(missing)}; `piston up` creates them"
            raise NotFoundError(message)
        described = admin.describe_topics(TopicCollection([str(topic) for topic in topics]))
        ids = {name: str(future.result(timeout_s).topic_id) for name, future in described.items()}
        cluster = admin.describe_cluster().result(timeout_s)
    except (KafkaException, TimeoutError) as error:
        message = (
            f"Kafka at {bootstrap} does not answer; is the stack up (`piston status`, PISTON_KAFKA_PORT)?"
        )
        raise UnavailableError(message) from error
    return StreamIdentity(str(cluster.cluster_id), ids)
