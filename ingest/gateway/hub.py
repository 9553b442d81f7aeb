"""What a connection needs of its gateway, and the token that leads a delivery report back to it."""

import asyncio
from typing import Protocol

from ingest.gateway.limits import Limits
from ingest.gateway.stats import GatewayStats
from ingest.registry.directory import DeviceDirectory


class Device(Protocol):
    """A connection as its gateway sees it."""

    deadline: float
    """Loop time at which the connection is to end unless something moves."""

    def delivered(self, flight: "Flight", is_durable: bool) -> None:
        """Kafka's word on a frame."""

    def pump(self) -> bool:
        """Hand over frames that found no room; False if there is none yet."""

    def finish(self) -> None:
        """Take nothing more; close once what is on its way to Kafka is acknowledged."""

    def expire(self) -> None:
        """The deadline passed."""


class Flight:
    """A frame on its way to Kafka."""

    __slots__ = ("device", "is_delivered", "record_count")

    def __init__(self, device: Device, record_count: int) -> None:
        self.device = device
        self.record_count = record_count
        self.is_delivered = False


class Hub(Protocol):
    """What all connections of a gateway share; `ingest.gateway.server.Gateway` is one."""

    limits: Limits
    stats: GatewayStats
    directory: DeviceDirectory
    loop: asyncio.AbstractEventLoop

    def enter(self, device: Device) -> bool:
        """Take in a new connection; False if there are too many."""

    def leave(self, device: Device) -> None:
        """Forget a connection."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""

    def send(self, key: bytes, frame: bytes, received_at_ms: int, flight: Flight) -> bool:
        """Hand a frame to the producer; False if there is no room, and then `pump` is called later."""
