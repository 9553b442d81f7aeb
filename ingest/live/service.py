"""The live writer: the newest state of every vehicle into Redis, and its alerts to Kafka.

Order of one batch, which is the promise:

1. work out the newest signals, and what the alert rules make of the frames (`ingest.alerts`), from memory;
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
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import Message, TopicPartition

from ingest.alerts.memory import MemoryCache, ObservedFrame, Settled, Subject, settle
from ingest.alerts.publisher import AlertPublisher
from ingest.codec8.errors import DecodeError
from ingest.frame_packet import NotTelemetryError, unpack_avl
from ingest.live.metrics import LiveMetrics
from ingest.live.offsets import LiveOffsets
from ingest.live.state import NewestState
from ingest.live.store import LiveStore
from ingest.registry_cache import RegistryCache, imeis_of
from ingest.stream.consumer import StreamRewindError
from ingest.stream.identity import StreamIdentity
from ingest.stream.messages import MalformedMessageError, decode_frame
from telematics.errors import UnavailableError

log = structlog.get_logger()


class LiveWriter:
    """The live writer as a `BatchHandler` of `ingest.stream.consumer`."""

    def __init__(
        self,
        store: LiveStore,
        registry: RegistryCache,
        publisher: AlertPublisher,
        read_identity: Callable[[], StreamIdentity],
        metrics: LiveMetrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        """A writer.

        Args:
            store: Redis.
            registry: devices, their families and vehicles.
            publisher: takes alerts to Kafka.
            read_identity: asks Kafka for the ids of its cluster and of the topics read here.
            metrics: figures.
            now: our clock, in seconds since the epoch.
        """
        self._store = store
        self._registry = registry
        self._publisher = publisher
        self._read_identity = read_identity
        self._metrics = metrics
        self._now = now
        self._offsets = LiveOffsets()
        self._memories = MemoryCache(store.recall)

    def assigned(self, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Start every partition where Redis says that the live state stands, or at its beginning.

        Raises:
            UnavailableError: Kafka or Redis does not answer.
        """
        topic_ids = self._read_identity().topic_ids
        keys = [(partition.topic, partition.partition) for partition in partitions]
        self._offsets.assign(self._store.read_offsets(), topic_ids, keys)
        # what was remembered of these partitions' devices may have moved on elsewhere
        self._memories.forget()
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
        state, observed, undecodable, newest_ms = NewestState(), [], 0, 0
        for message in pending:
            try:
                frame = decode_frame(message)
                packet = unpack_avl(frame)
            except (MalformedMessageError, NotTelemetryError, DecodeError):
                undecodable += 1
                continue
            newest_ms = max(newest_ms, frame.received_at_ms)
            seen = state.observe(frame, packet, self._registry)
            if seen:
                observed.append(ObservedFrame(frame, self._registry.family(frame.imei), seen))
        settled = self._settle(observed)
        self._publisher.publish(settled.alerts)
        result = self._store.write(state.signals(), settled.memories)
        self._commit(pending)
        self._memories.put(settled.memories)
        if result.refused_count:
            log.error("live.refused", vehicles=result.refused_count)
        self._metrics.alerted(Counter(alert.kind for alert in settled.alerts))
        self._metrics.settled(
            frames=len(pending),
            undecodable=undecodable,
            records=state.record_count,
            ignored=state.ignored_count,
            signals=result.signal_count,
            refused=result.refused_count,
            seconds=time.perf_counter() - started,
            lag_s=self._now() - newest_ms / 1000 if newest_ms else 0.0,
        )
        log.debug("live.batch", frames=len(pending), signals=result.signal_count, alerts=len(settled.alerts))

    def _settle(self, observed: Sequence[ObservedFrame]) -> Settled:
        subjects = set[Subject]().union(*(frame.subjects() for frame in observed))
        return settle(observed, self._memories.get(subjects), self._offsets.topic_ids)

    def _commit(self, messages: Sequence[Message]) -> None:
        moves = self._offsets.moves(messages)
        if self._store.commit(moves):
            self._offsets.settle(moves)
            return
        self._memories.forget()
        self._offsets.reload(self._store.read_offsets())
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
