"""What the gateway counts, as plain integers, and their export to Prometheus.

A counter of the client library takes a lock with every step; these are changed in one thread only and
read when somebody scrapes. No label ever holds an IMEI, a VIN or an address.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.codec8.records import CodecId

LATENCY_STEPS: Final = 10_000
"""Acknowledgements are counted by whole milliseconds up to this many; slower ones in the last step."""
_BOUNDS_MS: Final = (1, 2, 5, 10, 15, 20, 30, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)


class Refusal(StrEnum):
    """Why a peer got nothing, beyond what is wrong with its bytes (`ingest.codec8.errors.Reason`)."""

    CONNECTION_LIMIT = "connection_limit"
    UNKNOWN_IMEI = "unknown_imei"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    LOGIN_TIMEOUT = "login_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    FRAME_TIMEOUT = "frame_timeout"
    TLS_HANDSHAKE = "tls_handshake"
    """TLS did not come about: another protocol, too slow, or gone."""
    NOT_DELIVERED = "not_delivered"
    """Kafka had not confirmed a frame when the gateway stopped."""
    ANSWERS_UNREAD = "answers_unread"
    SUPERSEDED = "superseded"
    """Its frames found no room, and the same device has logged in anew."""
    RATE_LIMIT = "rate_limit"
    """A datagram above the device's rate; connections are read slower instead."""
    NO_ROOM = "no_room"
    """A datagram that the producer had no room for."""


class GatewayStats:
    """Counts since the start of the process."""

    def __init__(self) -> None:
        self.connections = 0
        self.open_connections = 0
        self.logins = 0
        self.quarantined_logins = 0
        self.pings = 0
        self.frames = 0
        """Frames handed to the producer."""
        self.frame_bytes = 0
        self.by_codec: dict[int, list[int]] = {codec: [0, 0] for codec in CodecId}
        """Codec → frames and records received."""
        self.datagrams = 0
        self.repeated_datagrams = 0
        self.acknowledged_records = 0
        self.acknowledgement_ms = [0] * (LATENCY_STEPS + 1)
        """How many acknowledgements left so many whole milliseconds after their frame was whole."""
        self.acknowledgement_s = 0.0
        self.unsent_acknowledgements = 0
        """Frames confirmed after their peer was gone; it sends them again and they are stored once."""
        self.redeliveries = 0
        """Frames sent once more because Kafka had not taken them in time."""
        self.pauses = 0
        """Times that a peer was not read because its frames waited for Kafka."""
        self.throttles = 0
        """Times that a peer was not read because it sent more than a device may."""
        self.commands_sent = 0
        self.commands_answered = 0
        self.messages = 0
        """Messages of codecs 12 to 15 from devices."""
        self.dropped_messages = 0
        self.refusals: Counter[str] = Counter()
        """By `Reason` or `Refusal`."""

    def refuse(self, reason: str) -> None:
        """Count one refusal."""
        self.refusals[reason] += 1

    def receive(self, codec: int, record_count: int) -> None:
        """Count one frame of a codec with its records."""
        counts = self.by_codec[codec]
        counts[0] += 1
        counts[1] += record_count

    def acknowledge(self, record_count: int, after_s: float) -> None:
        """Count one acknowledgement, given so long after its frame was whole."""
        self.acknowledged_records += record_count
        self.acknowledgement_s += after_s
        try:
            self.acknowledgement_ms[int(after_s * 1000)] += 1
        except IndexError:
            self.acknowledgement_ms[LATENCY_STEPS] += 1

    @property
    def acknowledged_frames(self) -> int:
        """Frames acknowledged after Kafka confirmed them."""
        return sum(self.acknowledgement_ms)

    def acknowledgement_quantile_ms(self, share: float) -> float:
        """Within how many milliseconds this share of the acknowledgements left, to the whole millisecond."""
        wanted, seen = share * self.acknowledged_frames, 0
        for milliseconds, count in enumerate(self.acknowledgement_ms):
            seen += count
            if seen >= wanted and seen:
                return milliseconds + 1.0
        return 0.0


_COUNTERS = {
    "connections": "Connections accepted.",
    "logins": "Devices that logged in.",
    "quarantined_logins": "Unknown devices let in for quarantine.",
    "pings": "Keep-alive bytes and empty messages.",
    "frames": "Frames handed to Kafka.",
    "frame_bytes": "Bytes of these frames.",
    "datagrams": "Datagrams that came in.",
    "repeated_datagrams": "Datagrams that came again and were not stored again.",
    "acknowledged_frames": "Frames acknowledged after Kafka confirmed them.",
    "acknowledged_records": "Records in acknowledged frames.",
    "unsent_acknowledgements": "Frames confirmed after their peer was gone.",
    "redeliveries": "Frames sent once more because Kafka had not taken them in time.",
    "pauses": "Times a peer was not read because its frames waited for Kafka.",
    "throttles": "Times a peer was not read because it sent more than a device may.",
    "commands_sent": "Commands written to sessions.",
    "commands_answered": "Commands that devices answered.",
    "messages": "Messages of codecs 12 to 15 from devices.",
    "dropped_messages": "Messages for which the outbox had no room, or the gateway no time when it stopped.",
}


class GatewayCollector(Collector):
    """The counts as Prometheus metrics."""

    def __init__(self, stats: GatewayStats) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """All metrics at this moment."""
        stats = self._stats
        for name, help_text in _COUNTERS.items():
            yield CounterMetricFamily(f"piston_gateway_{name}", help_text, value=getattr(stats, name))
        yield GaugeMetricFamily(
            "piston_gateway_open_connections", "Connections open now.", value=stats.open_connections
        )
        yield _labelled("refusals", "What was refused, by reason.", "reason", stats.refusals)
        for place, name in enumerate(("frames", "records")):
            by_codec = {CodecId(codec).label: counts[place] for codec, counts in stats.by_codec.items()}
            yield _labelled(f"codec_{name}", f"{name.capitalize()} received, by codec.", "codec", by_codec)
        yield self._latency()

    def _latency(self) -> Metric:
        counts = self._stats.acknowledgement_ms
        buckets = [(f"{bound / 1000:g}", float(sum(counts[:bound]))) for bound in _BOUNDS_MS]
        buckets.append(("+Inf", float(sum(counts))))
        histogram = HistogramMetricFamily(
            "piston_gateway_acknowledgement_seconds", "From a whole frame to its acknowledgement."
        )
        histogram.add_metric([], buckets, self._stats.acknowledgement_s)
        return histogram


def _labelled(name: str, help_text: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"piston_gateway_{name}", help_text, labels=[label])
    for value, count in list(counts.items()):
        family.add_metric([value], count)
    return family
