"""A frame on its way to Kafka: the token that leads a delivery report back to whoever waits for it."""

from typing import Protocol

from ingest.stream.messages import Transport


class Sender(Protocol):
    """Whoever hands frames to the gateway and hears what became of them."""

    def delivered(self, flight: "Flight", is_durable: bool) -> None:
        """Kafka's word on a frame."""

    def relaunch(self, flight: "Flight") -> bool:
        """Send a frame again that Kafka did not take; False if there is still no room."""

    def pump(self) -> bool:
        """Hand over frames that found no room; False if there is none yet."""


class Flight:
    """A frame, kept until Kafka has confirmed it, so that it can be sent again."""

    __slots__ = ("frame", "is_delivered", "received_at_ms", "record_count", "sender", "started_at")

    transport = Transport.TCP

    def __init__(
        self, sender: Sender, frame: bytes, record_count: int, received_at_ms: int, started_at: float
    ) -> None:
        self.sender = sender
        self.frame = frame
        self.record_count = record_count
        self.received_at_ms = received_at_ms
        """Milliseconds since the epoch."""
        self.started_at = started_at
        """The same moment in seconds of the monotonic clock."""
        self.is_delivered = False


class DatagramFlight(Flight):
    """The same over UDP."""

    __slots__ = ()

    transport = Transport.UDP


def new_flight(
    transport: Transport, sender: Sender, frame: bytes, received_at_ms: int, started_at: float
) -> Flight:
    """A flight that counts no records."""
    kind = DatagramFlight if transport is Transport.UDP else Flight
    return kind(sender, frame, 0, received_at_ms, started_at)
