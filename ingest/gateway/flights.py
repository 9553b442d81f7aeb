"""A frame on its way to Kafka: the token that leads a delivery report back to whoever waits for it."""

from typing import Protocol

from ingest.stream.messages import Headers


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

    __slots__ = ("frame", "headers", "is_delivered", "record_count", "sender", "started_at")

    def __init__(
        self, sender: Sender, frame: bytes, record_count: int, headers: Headers, started_at: float
    ) -> None:
        self.sender = sender
        self.frame = frame
        self.record_count = record_count
        self.headers = headers
        """How and when it came in; a second try has those of the first."""
        self.started_at = started_at
        """The same moment in seconds of the monotonic clock."""
        self.is_delivered = False
