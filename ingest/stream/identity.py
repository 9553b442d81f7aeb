"""Which cluster and which incarnation of a topic we talk to.

Offsets mean nothing without it: a topic that was deleted and made again starts at 0, and an offset kept
elsewhere (the sink keeps its own in PostgreSQL) would silently skip or repeat frames. Kafka gives every
cluster and every topic incarnation an id of its own (KIP-516); the sink compares them.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from telematics.errors import NotFoundError, UnavailableError

_TIMEOUT_S: Final = 10.0
_NEW_TOPIC_S: Final = 1.0


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
        missing = _missing(admin, topics, timeout_s)
        if missing:
            time.sleep(_NEW_TOPIC_S)  # a topic that was just created shows up in the metadata a moment later
            missing = _missing(admin, topics, timeout_s)
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


def _missing(admin: AdminClient, topics: Collection[str], timeout_s: float) -> list[str]:
    known = admin.list_topics(timeout=timeout_s).topics
    return sorted(str(topic) for topic in topics if topic not in known)
