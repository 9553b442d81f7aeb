"""Messages to Kafka that no device waits for: what devices answered, and what nobody could decode.

They are sent until Kafka has them, and bounded in number: beyond that, and when the gateway stops before
Kafka has them, they are counted as dropped. An answer to a command stands in `device_commands` as well, so
the topic is not its only place.
"""

import time
from typing import Final, Protocol

from ingest.gateway.flights import Flight
from ingest.gateway.stats import GatewayStats
from ingest.stream.messages import Headers, Transport
from telematics.names import Topic

_MAX_OPEN: Final = 10_000


class Launcher(Protocol):
    """What the outbox needs of its gateway."""

    stats: GatewayStats

    def stamp(self, transport: Transport) -> Headers:
        """The headers of a message that came in now."""

    def send(self, key: bytes, flight: Flight, topic: str | None = None) -> bool:
        """Hand a message to the producer; False if there is no room."""

    def retry(self, flight: Flight) -> None:
        """Have a message sent again soon."""


class Outbox:
    """Sends for the gateway itself."""

    def __init__(self, hub: Launcher) -> None:
        self._hub = hub
        self._open: dict[Flight, tuple[bytes, Topic]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def publish(self, imei: str, topic: Topic, message: bytes, transport: Transport = Transport.TCP) -> None:
        """Send one message about a device; `transport` says how what it holds came in."""
        if len(self._open) >= _MAX_OPEN:
            self._hub.stats.dropped_messages += 1
            return
        flight = Flight(self, message, 0, self._hub.stamp(transport), time.monotonic())
        self._open[flight] = imei.encode(), topic
        if not self.relaunch(flight):
            self._hub.retry(flight)

    def delivered(self, flight: Flight, is_durable: bool) -> None:
        """Kafka's word on a message."""
        if is_durable:
            self._open.pop(flight, None)
        else:
            self._hub.retry(flight)

    def relaunch(self, flight: Flight) -> bool:
        """Send a message again that Kafka did not take; False if there is still no room."""
        key, topic = self._open[flight]
        return self._hub.send(key, flight, topic)

    def give_up(self) -> None:
        """Nothing is sent any more: what Kafka does not have now is dropped."""
        self._hub.stats.dropped_messages += len(self._open)
        self._open.clear()

    def pump(self) -> bool:
        """Nothing waits for room here: the gateway's retries bring it back."""
        return True
