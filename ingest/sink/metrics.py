"""Figures of the sink for Prometheus. No label ever names a device or a vehicle."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_BATCH_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


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
        lag_s: float,
    ) -> None:
        """A batch is committed."""
        self._frames.inc(frames)
        self._records.inc(records)
        self._duplicates.inc(duplicates)
        for reason, count in dead_letters.items():
            self._dead_letters.labels(reason).inc(count)
        self._seconds.observe(seconds)
        self._lag.set(max(lag_s, 0.0))

    def fenced(self) -> None:
        """A batch was dropped because another sink had moved the offsets."""
        self._fenced.inc()
