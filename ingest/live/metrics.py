"""Figures of the live writer for Prometheus. No label ever names a device or a vehicle."""

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from ingest.live.freshness import FreshnessHistogram

_BATCH_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_SIZE_BUCKETS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)


class LiveMetrics:
    """Counted after Redis has answered."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._frames = Counter("piston_live_frames", "Messages consumed and settled.", registry=registry)
        self._undecodable = Counter(
            "piston_live_undecodable", "Messages passed over; the sink parks them.", registry=registry
        )
        self._records = Counter("piston_live_records", "AVL records looked at.", registry=registry)
        self._ignored = Counter(
            "piston_live_ignored", "Records of no vehicle, or of an impossible time.", registry=registry
        )
        self._repeated = Counter(
            "piston_live_repeated", "Frames that the alert state held already.", registry=registry
        )
        self._signals = Counter("piston_live_signals", "Signals that moved forward.", registry=registry)
        self._refused = Counter(
            "piston_live_refused", "Vehicles whose key holds something else.", registry=registry
        )
        self._alerts = Counter(
            "piston_live_alerts", "Alerts confirmed by Kafka.", ["kind"], registry=registry
        )
        self._seconds = Histogram(
            "piston_live_batch_seconds",
            "From the batch to Redis' answer.",
            buckets=_BATCH_BUCKETS_S,
            registry=registry,
        )
        self._sizes = Histogram(
            "piston_live_batch_messages", "Messages of a batch.", buckets=_SIZE_BUCKETS, registry=registry
        )
        self._freshness = FreshnessHistogram(registry)
        self._lag = Gauge(
            "piston_live_lag_seconds", "Age of the newest message when it was readable.", registry=registry
        )

    def alerted(self, counts: Mapping[str, int]) -> None:
        """Alerts of a batch, by kind; one that is sent again counts again."""
        for kind, count in counts.items():
            self._alerts.labels(kind).inc(count)

    def settled(
        self,
        *,
        frames: int,
        undecodable: int,
        records: int,
        ignored: int,
        repeated: int,
        signals: int,
        refused: int,
        received_at_ms: Sequence[int],
        seconds: float,
        now_s: float,
    ) -> None:
        """A batch is readable in Redis.

        Args:
            frames: messages, posted readings included.
            undecodable: of these.
            records: looked at, readings included.
            ignored: of these.
            repeated: frames that the alert state held already.
            signals: that moved forward.
            refused: keys that hold something else.
            received_at_ms: when each decoded message came in.
            seconds: that the batch took.
            now_s: our clock, in seconds since the epoch.
        """
        self._frames.inc(frames)
        self._undecodable.inc(undecodable)
        self._records.inc(records)
        self._ignored.inc(ignored)
        self._repeated.inc(repeated)
        self._signals.inc(signals)
        self._refused.inc(refused)
        self._seconds.observe(seconds)
        self._sizes.observe(frames)
        if received_at_ms:
            self._freshness.observe(received_at_ms, now_s)
        self._lag.set(max(now_s - max(received_at_ms) / 1000, 0.0) if received_at_ms else 0.0)
