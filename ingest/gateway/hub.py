"""What connections need of their gateway, and what it needs of them."""

import asyncio
from typing import Protocol

from ingest.commands.dispatcher import CommandDispatcher
from ingest.gateway.flights import Flight, Sender
from ingest.gateway.limits import Limits
from ingest.gateway.outbox import Outbox
from ingest.gateway.stats import GatewayStats
from ingest.registry.directory import DeviceDirectory
from ingest.stream.messages import Headers, Transport


class Device(Sender, Protocol):
    """A connection as its gateway sees it."""

    def finish(self) -> None:
        """Take nothing more; close once what is on its way to Kafka is acknowledged."""

    def give_up(self) -> None:
        """End at once; what Kafka did not confirm is not acknowledged."""

    def expire(self, now: float) -> None:
        """End if nothing moved for too long; `now` is in seconds of the monotonic clock."""


class Hub(Protocol):
    """What all connections of a gateway share; `ingest.gateway.server.Gateway` is one."""

    limits: Limits
    stats: GatewayStats
    directory: DeviceDirectory
    commands: CommandDispatcher
    outbox: Outbox
    loop: asyncio.AbstractEventLoop

    def enter(self, device: Device) -> bool:
        """Take in a new connection; False if there are too many."""

    def leave(self, device: Device) -> None:
        """Forget a connection."""

    def name_session(self) -> str:
        """A name that no other session of any gateway has."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""

    def stamp(self, transport: Transport) -> Headers:
        """The headers of a message that came in now."""

    def send(self, key: bytes, flight: Flight, topic: str | None = None) -> bool:
        """Hand a frame to the producer; False if there is no room, and then `pump` is called later."""

    def retry(self, flight: Flight) -> None:
        """Have a frame sent again soon that Kafka did not take."""
