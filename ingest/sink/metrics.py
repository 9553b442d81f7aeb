"""Figures of the sink for Prometheus. No label ever names a device or a vehicle."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from ingest.sink.received import ReceivedSpan

_BATCH_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MESSAGE_BUCKETS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)
_ROW_BUCKETS: Final = (0, 1, 10, 50, 100, 500, 1000, 5000, 10_000, 25_000, 100_000)
_FRESHNESS_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)


class SinkMetrics:
    """Counted after the commit, so that they never say more than the database does."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._frames = Counter("piston_sink_frames", "Messages consumed and settled.", registry=registry)
        self._records = Counter("piston_sink_records", "Rows stored.", registry=registry)
        self._duplicates = Counter(
            "piston_sink_duplicates", "Records that were stored before.", registry=registry
        )
        self._dead_letters = Counter(
            "piston_sink_dead_letters", "Messages parked, by reason.", ["reason"], registry=registry
        )
        self._fenced = Counter(
            "piston_sink_fenced", "Batches dropped because another sink took over.", registry=registry
        )
        self._seconds = Histogram(
            "piston_sink_batch_seconds",
            "From the batch to its commit.",
            buckets=_BATCH_BUCKETS_S,
            registry=registry,
        )
        self._messages = Histogram(
            "piston_sink_batch_messages", "Messages of a batch.", buckets=_MESSAGE_BUCKETS, registry=registry
        )
        self._rows = Histogram(
            "piston_sink_batch_rows", "Rows that a batch stored.", buckets=_ROW_BUCKETS, registry=registry
        )
        self._freshness = Histogram(
            "piston_sink_freshness_seconds",
            "Of each batch, age of the oldest message when it was committed.",
            buckets=_FRESHNESS_BUCKETS_S,
            registry=registry,
        )
        self._lag = Gauge(
            "piston_sink_lag_seconds", "Age of the newest message when it was committed.", registry=registry
        )

    def settled(
        self,
        *,
        frames: int,
        records: int,
        duplicates: int,
        dead_letters: Mapping[str, int],
        seconds: float,
        received_ms: ReceivedSpan | None,
        now_ms: int,
    ) -> None:
        """A batch is committed.

        Args:
            frames: messages, posted readings included.
            records: rows stored.
            duplicates: records that were stored before, or came twice in the batch.
            dead_letters: messages parked, by reason.
            seconds: that the batch took.
            received_ms: when its messages came in; None where none could be decoded.
            now_ms: our clock, in milliseconds since the epoch.
        """
        self._frames.inc(frames)
        self._records.inc(records)
        self._duplicates.inc(duplicates)
        for reason, count in dead_letters.items():
            self._dead_letters.labels(reason).inc(count)
        self._seconds.observe(seconds)
        self._messages.observe(frames)
        self._rows.observe(records)
        if received_ms is not None:
            self._freshness.observe(max(now_ms - received_ms.oldest_ms, 0) / 1000)
        self._lag.set(max(now_ms - received_ms.newest_ms, 0) / 1000 if received_ms is not None else 0.0)

    def fenced(self) -> None:
        """A batch was dropped because another sink had moved the offsets."""
        self._fenced.inc()
