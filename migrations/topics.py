"""Kafka topics as they ought to be, and the step that makes them so."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import KafkaError, NewTopic

from telematics.errors import UnavailableError
from telematics.names import KAFKA_PARTITIONS, Topic

_DAY_MS = 86_400_000
_TIMEOUT_S = 30.0
_POLL_S = 0.1


class TopicSpec(NamedTuple):
    """Name and retention of a topic; partitions are the same for all."""

    name: Topic
    retention_ms: int


TOPICS: Final = (
    TopicSpec(Topic.AVL_FRAMES, 7 * _DAY_MS),
    TopicSpec(Topic.READINGS, 7 * _DAY_MS),
    TopicSpec(Topic.DEAD_LETTERS, 30 * _DAY_MS),
    TopicSpec(Topic.QUARANTINE, 30 * _DAY_MS),
    TopicSpec(Topic.ALERTS, 30 * _DAY_MS),
    TopicSpec(Topic.COMMANDS, 7 * _DAY_MS),
    TopicSpec(Topic.RESPONSES, 7 * _DAY_MS),
)


def _new_topic(spec: TopicSpec, replication_factor: int) -> NewTopic:
    # A device's own clock never decides how long its frame is kept: retention counts from the append.
    config = {"retention.ms": str(spec.retention_ms), "message.timestamp.type": "LogAppendTime"}
    return NewTopic(
        spec.name, num_partitions=KAFKA_PARTITIONS, replication_factor=replication_factor, config=config
    )


def create_topics(bootstrap: str, progress: Callable[[str], None], replication_factor: int = 1) -> int:
    """Create the topics that are missing and wait until Kafka lists them; returns how many were created.

    Raises:
        UnavailableError: Kafka does not answer, or a topic does not come.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + _TIMEOUT_S
    created = 0
    try:
        while missing := [spec for spec in TOPICS if spec.name not in _present(admin)]:
            wanted = [_new_topic(spec, replication_factor) for spec in missing]
            for name, future in admin.create_topics(wanted).items():
                try:
                    future.result(_TIMEOUT_S)
                except KafkaException as error:
                    # made by another `piston up`, or by us and not listed yet
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
                else:
                    created += 1
                    progress(f"topic {name} created")
            if time.monotonic() > deadline:
                message = f"Kafka at {bootstrap} does not list the topics that it made; try again"
                raise UnavailableError(message)
            time.sleep(_POLL_S)
    except KafkaException as error:
        message = f"Kafka at {bootstrap} did not create the topics: {error.args[0].str()}; is the stack up?"
        raise UnavailableError(message) from error
    return created


def delete_topics(bootstrap: str) -> None:
    """Delete every topic of ours with all its messages, and wait until they are gone.

    Raises:
        UnavailableError: Kafka does not answer, or a topic stays.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        while present := _present(admin):
            for future in admin.delete_topics(present).values():
                try:
                    future.result(_TIMEOUT_S)
                except KafkaException as error:
                    # metadata names a topic for a moment after it is gone
                    if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
            if time.monotonic() > deadline:
                message = f"Kafka at {bootstrap} still lists {', '.join(present)} after deleting them"
                raise UnavailableError(message)
            time.sleep(_POLL_S)
    except KafkaException as error:
        message = f"Kafka at {bootstrap} did not delete the topics: {error.args[0].str()}; is the stack up?"
        raise UnavailableError(message) from error


def _present(admin: AdminClient) -> list[str]:
    known = admin.list_topics(timeout=_TIMEOUT_S).topics
    return [str(spec.name) for spec in TOPICS if spec.name in known]
