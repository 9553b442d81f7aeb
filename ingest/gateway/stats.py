"""What the gateway counts, as plain integers, and their export to Prometheus.

A counter of the client library takes a lock with every step; these are changed in one thread only and
read when somebody scrapes. No label ever holds an IMEI, a VIN or an address.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Refusal(StrEnum):
    """Why a peer got nothing, beyond what is wrong with its bytes (`ingest.codec8.errors.Reason`)."""

    CONNECTION_LIMIT = "connection_limit"
    UNKNOWN_IMEI = "unknown_imei"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    LOGIN_TIMEOUT = "login_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    FRAME_TIMEOUT = "frame_timeout"
    NOT_DELIVERED = "not_delivered"
    """Kafka did not confirm a frame in time."""
    ANSWERS_UNREAD = "answers_unread"


class GatewayStats:
    """Counts since the start of the process."""

    def __init__(self) -> None:
        self.connections = 0
        self.open_connections = 0
        self.logins = 0
        self.pings = 0
        self.frames = 0
        """Frames handed to the producer."""
        self.frame_bytes = 0
        self.acknowledged_frames = 0
        self.acknowledged_records = 0
        self.unsent_acknowledgements = 0
        """Frames confirmed after their peer was gone; it sends them again and they are stored once."""
        self.ignored_commands = 0
        self.pauses = 0
        """Times that a peer was not read because its frames waited for Kafka."""
        self.refusals: Counter[str] = Counter()
        """By `Reason` or `Refusal`."""

    def refuse(self, reason: str) -> None:
        """Count one refusal."""
        self.refusals[reason] += 1


_COUNTERS = {
    "connections": "Connections accepted.",
    "logins": "Devices that logged in.",
    "pings": "Keep-alive bytes.",
    "frames": "Frames handed to Kafka.",
    "frame_bytes": "Bytes of these frames.",
    "acknowledged_frames": "Frames acknowledged after Kafka confirmed them.",
    "acknowledged_records": "Records in acknowledged frames.",
    "unsent_acknowledgements": "Frames confirmed after their peer was gone.",
    "ignored_commands": "Command frames from devices, ignored.",
    "pauses": "Times a peer was not read because its frames waited for Kafka.",
}


class GatewayCollector(Collector):
    """The counts as Prometheus metrics."""

    def __init__(self, stats: GatewayStats) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """All metrics at this moment."""
        for name, help_text in _COUNTERS.items():
            yield CounterMetricFamily(f"piston_gateway_{name}", help_text, value=getattr(self._stats, name))
        yield GaugeMetricFamily(
            "piston_gateway_open_connections", "Connections open now.", value=self._stats.open_connections
        )
        refusals = CounterMetricFamily(
            "piston_gateway_refusals", "What was refused, by reason.", labels=["reason"]
        )
        for reason, count in list(self._stats.refusals.items()):
            refusals.add_metric([reason], count)
        yield refusals
