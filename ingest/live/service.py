"""The live writer: the newest state of every vehicle into Redis, and its alerts to Kafka.

Order of one batch, which is the promise:

1. work out the newest signals, and what the alert rules make of the frames and readings, from memory
   (`ingest.live.reading`, `ingest.alerts`);
2. alerts to Kafka, until all are confirmed;
3. signals and what the rules now know, to Redis;
4. the offsets, to Redis (`ingest.live.offsets` says why there), if they still stand where they stood.

Dying anywhere in between repeats a batch. Then signals give way only to a later device time; frames that are
in a device's alert state already are passed over, and their alerts were confirmed before; the others raise
the same alerts again, with the same ids. So no alert is lost, and one that comes again is recognised by its
id.

Devices and vehicles come from TimescaleDB; while that is down, what was read before serves on.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog
from confluent_kafka import Message, TopicPartition

from ingest.alerts.publisher import AlertPublisher
from ingest.live.metrics import LiveMetrics
from ingest.live.offsets import LiveOffsets
from ingest.live.reading import BatchReader
from ingest.live.store import LiveStore
from ingest.registry_cache import RegistryCache, imeis_of
from ingest.stream.consumer import StreamRewindError
from ingest.stream.identity import StreamIdentity
from ingest.stream.log_spans import LogSpan, Partition
from telematics.errors import UnavailableError

ReadSpans = Callable[[Collection[Partition]], Mapping[Partition, LogSpan]]

log = structlog.get_logger()


class LiveWriter:
    """The live writer as a `BatchHandler` of `ingest.stream.consumer`."""

    def __init__(
        self,
        store: LiveStore,
        reader: BatchReader,
        registry: RegistryCache,
        publisher: AlertPublisher,
        read_identity: Callable[[], StreamIdentity],
        read_spans: ReadSpans,
        metrics: LiveMetrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        """A writer.

        Args:
            store: Redis.
            reader: works batches out, with memories from that Redis.
            registry: devices, their families and vehicles.
            publisher: takes alerts to Kafka.
            read_identity: asks Kafka for the ids of its cluster and of the topics read here.
            read_spans: asks Kafka which offsets the logs of partitions hold.
            metrics: figures.
            now: our clock, in seconds since the epoch.
        """
        self._store = store
        self._reader = reader
        self._registry = registry
        self._publisher = publisher
        self._read_identity = read_identity
        self._read_spans = read_spans
        self._metrics = metrics
        self._now = now
        self._offsets = LiveOffsets()

    def assigned(self, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Start every partition where Redis says that the live state stands, or at its beginning.

        Raises:
            UnavailableError: Kafka or Redis does not answer.
        """
        topic_ids = self._read_identity().topic_ids
        keys = [(partition.topic, partition.partition) for partition in partitions]
        stored = self._store.read_offsets()
        _tell_shortened(self._offsets.assign(stored, topic_ids, self._read_spans(keys)))
        # what was remembered of these partitions' devices may have moved on elsewhere
        self._reader.forget()
        places = {(place.topic, place.partition): place.offset for place in self._offsets.places()}
        for partition, key in zip(partitions, keys, strict=True):
            partition.offset = places[key]
        return partitions

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget partitions; what they need to go on is in Redis."""
        self._offsets.revoke((partition.topic, partition.partition) for partition in partitions)

    def handle(self, messages: Sequence[Message]) -> None:
        """Make the newest state that these messages hold readable, and their alerts heard.

        Raises:
            UnavailableError: Redis or Kafka is down, or the registry is and a device was never read before.
            StreamRewindError: Redis stands elsewhere in the stream; go on from there.
            ConfigurationError: Redis refuses us.
        """
        started = time.perf_counter()
        pending = self._offsets.ours(messages)
        if not pending:
            return
        self._refresh_registry(pending)
        digest = self._reader.read(pending, self._registry, self._offsets.incarnations)
        self._publisher.publish(digest.alerts)
        result = self._store.write(digest.offers, digest.memories)
        self._commit(pending)
        self._reader.settled()
        if result.refused_count:
            log.error("live.refused", keys=result.refused_count)
        self._metrics.alerted(Counter(alert.kind for alert in digest.alerts))
        self._metrics.settled(
            frames=len(pending),
            undecodable=digest.undecodable,
            records=digest.record_count,
            ignored=digest.ignored_count,
            repeated=digest.repeated_count,
            signals=result.signal_count,
            refused=result.refused_count,
            received_at_ms=digest.received_at_ms,
            seconds=time.perf_counter() - started,
            now_s=self._now(),
        )
        log.debug("live.batch", frames=len(pending), signals=result.signal_count, alerts=len(digest.alerts))

    def _commit(self, messages: Sequence[Message]) -> None:
        moves = self._offsets.moves(messages)
        if self._store.commit(moves):
            self._offsets.settle(moves)
            return
        self._reader.forget()
        stored = self._store.read_offsets()
        _tell_shortened(self._offsets.reload(stored, self._read_spans(self._offsets.partitions)))
        message = "Valkey stands elsewhere in the stream than this live writer; it goes on from there"
        raise StreamRewindError(message, self._offsets.places())

    def _refresh_registry(self, messages: Sequence[Message]) -> None:
        imeis = imeis_of(messages)
        try:
            self._registry.refresh(imeis)
        except UnavailableError as error:
            if not self._registry.knows(imeis):
                raise
            log.warning("live.registry_unavailable", reason=str(error))


def _tell_shortened(partitions: Sequence[Partition]) -> None:
    for topic, number in partitions:
        log.error(
            "live.log_shortened",
            topic=topic,
            partition=number,
            reason="Kafka's log ends before what was read of it: it lost frames. The partition is read again "
            "from its beginning, and alerts are repeated with the same ids",
        )
