"""How long records take from arrival to being readable, as a histogram that takes whole batches.

`prometheus_client`'s own takes one observation at a time, which would cost as much as the record's way into
Redis.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
_NAME: Final = "piston_live_freshness_seconds"
_HELP: Final = "From the arrival of a frame or reading to its being readable in Redis."


class FreshnessHistogram(Collector):
    """Counts frames and readings by their age when they became readable."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts = np.zeros(len(_BUCKETS_S) + 1, np.int64)
        self._sum_s = 0.0
        registry.register(self)

    def observe(self, received_at_ms: Sequence[int], now_s: float) -> None:
        """Messages that came in at these times are readable now."""
        ages_s = np.maximum(now_s - np.asarray(received_at_ms, np.float64) / 1000, 0.0)
        places = np.searchsorted(_BUCKETS_S, ages_s)
        # a new array each time: whoever scrapes in another thread sees one state, not half of two
        self._counts = self._counts + np.bincount(places, minlength=len(self._counts))
        self._sum_s += float(ages_s.sum())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """For Prometheus."""
        counts = np.cumsum(self._counts).tolist()
        bounds = [*map(str, _BUCKETS_S), "+Inf"]
        yield HistogramMetricFamily(
            _NAME, _HELP, buckets=list(zip(bounds, counts, strict=True)), sum_value=self._sum_s
        )
