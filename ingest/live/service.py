"""The live writer: the newest state of every vehicle into Redis.

Offsets go to Kafka after Redis has answered (`commit_to_kafka`). Dying in between repeats a batch, and
repeating changes nothing, because a signal gives way only to a later device time. Devices and vehicles come
from TimescaleDB; while that is down, what was read before serves on.
"""

import time
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import Message, TopicPartition

from ingest.codec8.errors import DecodeError
from ingest.frame_packet import NotTelemetryError, unpack_avl
from ingest.live.metrics import LiveMetrics
from ingest.live.state import NewestState
from ingest.live.store import LiveStore
from ingest.registry_cache import RegistryCache, imeis_of
from ingest.stream.messages import MalformedMessageError, decode_frame
from telematics.errors import UnavailableError

log = structlog.get_logger()


class LiveWriter:
    """The live writer as a `BatchHandler` of `ingest.stream.consumer`."""

    def __init__(
        self,
        store: LiveStore,
        registry: RegistryCache,
        metrics: LiveMetrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        """A writer; `now` is our clock, in seconds since the epoch."""
        self._store = store
        self._registry = registry
        self._metrics = metrics
        self._now = now

    def assigned(self, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Start at the group's committed offsets."""
        return partitions

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing is kept per partition."""

    def handle(self, messages: Sequence[Message]) -> None:
        """Make the newest state that these messages hold readable.

        Raises:
            UnavailableError: Redis is down, or the registry is and a device was never read before.
            ConfigurationError: Redis refuses us.
        """
        started = time.perf_counter()
        self._refresh_registry(messages)
        state, undecodable, newest_ms = NewestState(), 0, 0
        for message in messages:
            try:
                frame = decode_frame(message)
                packet = unpack_avl(frame)
            except (MalformedMessageError, NotTelemetryError, DecodeError):
                undecodable += 1
                continue
            newest_ms = max(newest_ms, frame.received_at_ms)
            state.observe(frame, packet, self._registry)
        result = self._store.write(state.signals())
        if result.refused_count:
            log.error("live.refused", vehicles=result.refused_count)
        self._metrics.settled(
            frames=len(messages),
            undecodable=undecodable,
            records=state.record_count,
            ignored=state.ignored_count,
            signals=result.signal_count,
            refused=result.refused_count,
            seconds=time.perf_counter() - started,
            lag_s=self._now() - newest_ms / 1000 if newest_ms else 0.0,
        )
        log.debug("live.batch", frames=len(messages), signals=result.signal_count)

    def _refresh_registry(self, messages: Sequence[Message]) -> None:
        imeis = imeis_of(messages)
        try:
            self._registry.refresh(imeis)
        except UnavailableError as error:
            if not self._registry.knows(imeis):
                raise
            log.warning("live.registry_unavailable", reason=str(error))
