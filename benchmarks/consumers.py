"""How far the consumers of the frame topic are: what their own stores say, not what Kafka was told."""

import time
from typing import Any, Final, Self

import psycopg
import redis
from confluent_kafka import Consumer, TopicPartition

from ingest.live.store import connect
from telematics.names import KAFKA_PARTITIONS, LIVE_OFFSETS_KEY, SINK_GROUP, Topic
from telematics.settings import Settings

_TOPIC: Final = Topic.AVL_FRAMES
_POLL_S: Final = 0.05
_ANSWER_S: Final = 10.0


class Standing:
    """Messages of the frame topic: in Kafka, in TimescaleDB, in Valkey."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "bench"})
        self._hot: psycopg.Connection[Any] = psycopg.connect(settings.timescale_dsn(), autocommit=True)
        self._live: redis.Redis = connect(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
        self._hot.close()
        self._live.close()

    def end(self) -> int:
        """Messages that Kafka holds."""
        partitions = [TopicPartition(_TOPIC, number) for number in range(KAFKA_PARTITIONS)]
        return sum(self._consumer.get_watermark_offsets(each, _ANSWER_S)[1] for each in partitions)

    def stored(self) -> int:
        """Messages whose rows are committed."""
        row = self._hot.execute(
            "select coalesce(sum(next_offset), 0) from stream_offsets"
            " where consumer_group = %s and topic = %s",
            (SINK_GROUP, _TOPIC),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def readable(self) -> int:
        """Messages whose state is in Valkey."""
        fields: Any = self._live.hgetall(LIVE_OFFSETS_KEY)
        return sum(
            int(value.rpartition(b"|")[2])
            for field, value in fields.items()
            if field.startswith(f"{_TOPIC}:".encode())
        )

    def rows(self, from_ms: int, until_ms: int) -> int:
        """Rows of a span of device time."""
        row = self._hot.execute(
            "select count(*) from telemetry where time >= to_timestamp(%s::double precision / 1000)"
            " and time < to_timestamp(%s::double precision / 1000)",
            (from_ms, until_ms),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def await_stored(self, count: int, patience_s: float) -> None:
        """Wait until so many messages are stored.

        Raises:
            TimeoutError: they are not, in time.
        """
        self._await("stored", count, patience_s)

    def await_readable(self, count: int, patience_s: float) -> None:
        """Wait until the state of so many messages is readable.

        Raises:
            TimeoutError: it is not, in time.
        """
        self._await("readable", count, patience_s)

    def _await(self, what: str, count: int, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while (now_at := getattr(self, what)()) < count:
            if time.monotonic() > deadline:
                message = f"{now_at:,} of {count:,} messages {what} after {patience_s:g} s"
                raise TimeoutError(message)
            time.sleep(_POLL_S)
