"""A tracker on the network: one connection, one packet in flight, each sent until it is acknowledged.

The order for one packet ("delivered" means: the gateway answered with its count):

1. connect and log in, unless a connection stands;
2. send the packet, wait for the answer at most `acknowledgement_timeout_s`;
3. right count: delivered. Wrong count: send the whole packet again. No answer, or the link gone: drop the
   link, wait, start over at 1.

That is the vendor's rule (`reference: server response timeout, default 5 s`). What the protocol means byte
by byte is `ingest.codec8.session`; this is its pump.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ingest.codec8.session import (
    Acknowledged,
    CommandRequested,
    DeviceSession,
    LoginAccepted,
    LoginRefused,
    SessionEvent,
)
from simulation.device.errors import DeviceRefusedError, GatewayAwayError
from simulation.device.packets import Packet

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[str, int], Awaitable[Streams]]

_READ_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """How long a tracker waits for what.

    Attributes:
        acknowledgement_timeout_s: for the answer to a packet or a login; the vendor's default is 5 s.
        first_retry_s: pause after a first failure; it doubles from one failure to the next.
        longest_retry_s: the longest pause.
        arrival_patience_s: gives up when no connection was ever made for this long: a wrong port.
        patience_s: gives up when nothing was acknowledged for this long: a gateway that is gone for good.
        login_patience_s: gives up when logins were refused for this long, one after the other. A gateway
            may learn of a device that was registered a moment ago only at its next look.
    """

    acknowledgement_timeout_s: float = 5.0
    first_retry_s: float = 0.1
    longest_retry_s: float = 5.0
    arrival_patience_s: float = 30.0
    patience_s: float = 900.0
    login_patience_s: float = 10.0


@dataclass(slots=True)
class DeliveryCounters:
    """What happened so far; one object may be shared by many trackers.

    Attributes:
        acknowledged: records in delivered packets.
        packets: delivered packets.
        resends: packets that were sent once more.
        connections: logins that were accepted.
        losses: links that ended without being asked to, timeouts included.
        connected: trackers that are logged in now.
    """

    acknowledged: int = 0
    packets: int = 0
    resends: int = 0
    connections: int = 0
    losses: int = 0
    connected: int = 0


class _LinkLostError(Exception):
    """The connection ended or made no sense; never leaves this module."""


class _RefusedError(Exception):
    """The login was refused; never leaves this module."""


class _Link:
    """One connection with its session."""

    def __init__(self, imei: str, streams: Streams) -> None:
        self._session = DeviceSession(imei)
        self._reader, self._writer = streams

    @property
    def is_gone(self) -> bool:
        """Whether the other side is known to have left."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def log_in(self) -> None:
        self._writer.write(self._session.login())
        event = await self._next_event()
        if isinstance(event, LoginRefused):
            raise _RefusedError
        if not isinstance(event, LoginAccepted):
            raise _LinkLostError

    async def exchange(self, packet: Packet) -> Acknowledged:
        self._writer.write(self._session.send(packet.frame, packet.count))
        event = await self._next_event()
        if not isinstance(event, Acknowledged):
            raise _LinkLostError
        return event

    async def _next_event(self) -> SessionEvent:
        event = self._session.next_event()
        while event is None or isinstance(event, CommandRequested):
            # a recording cannot answer commands; a tracker without an answer stays silent, too
            received = await self._reader.read(_READ_BYTES)
            if not received:
                raise _LinkLostError
            events = self._session.feed(received)
            event = events[0] if events else None
        return event

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


class Tracker:
    """A device that delivers packets; not for use by two tasks at once.

    Args:
        imei: 15 digits.
        host: address of the gateway.
        port: device port of the gateway.
        policy: how long to wait for what.
        counters: where to count.
        connect: opens a connection.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        imei: str,
        host: str,
        port: int,
        *,
        policy: LinkPolicy | None = None,
        counters: DeliveryCounters | None = None,
        connect: Connect = asyncio.open_connection,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._imei = imei
        self._host = host
        self._port = port
        self._policy = policy or LinkPolicy()
        self.counters = counters or DeliveryCounters()
        self._connect = connect
        self._clock = clock
        self._jitter = random.Random(imei)
        self._link: _Link | None = None
        self._was_connected = False
        self._failures = 0
        self._good_at = clock()
        self._refused_since: float | None = None

    async def deliver(self, packet: Packet) -> None:
        """Send a packet until it is acknowledged with its count.

        Raises:
            DeviceRefusedError: the gateway does not let the device in.
            GatewayAwayError: nothing was acknowledged for too long.
        """
        sent_before = False
        # Pauses between packets, when nothing was due, are no absence of the gateway.
        self._good_at = self._clock()
        while True:
            try:
                if self._link is not None and self._link.is_gone:
                    # left between two packets: no failed attempt, so no pause before the next
                    self.counters.losses += 1
                    await self._drop()
                async with asyncio.timeout(self._policy.acknowledgement_timeout_s):
                    link = self._link or await self._log_in()
                self.counters.resends += sent_before
                sent_before = True
                async with asyncio.timeout(self._policy.acknowledgement_timeout_s):
                    answer = await link.exchange(packet)
            except _RefusedError:
                await self._drop()
                await self._pause_refused()
                continue
            except (_LinkLostError, OSError):  # TimeoutError is an OSError
                self.counters.losses += self._link is not None
                self._refused_since = None
                await self._drop()
                await self._pause()
                continue
            if answer.is_complete:
                break
            await self._pause()
        self._failures = 0
        self.counters.packets += 1
        self.counters.acknowledged += packet.count

    async def disconnect(self) -> None:
        """End the connection, if one stands; the next packet makes another."""
        await self._drop()

    async def _log_in(self) -> _Link:
        link = _Link(self._imei, await self._connect(self._host, self._port))
        try:
            await link.log_in()
        except BaseException:
            await link.close()
            raise
        self._link = link
        self._was_connected = True
        self._refused_since = None
        self.counters.connections += 1
        self.counters.connected += 1
        return link

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            self.counters.connected -= 1
            await link.close()

    async def _pause_refused(self) -> None:
        now = self._clock()
        self._good_at = now  # a refusal is an answer: the gateway is there
        if self._refused_since is None:
            self._refused_since = now
        if now - self._refused_since >= self._policy.login_patience_s:
            message = (
                f"the gateway at {self._host}:{self._port} refused device …{self._imei[-6:]}: it is not "
                f"registered there or not active; see `piston device list`, and leave out --no-register"
            )
            raise DeviceRefusedError(message)
        await self._pause()

    async def _pause(self) -> None:
        """Wait before the next attempt, longer each time, a little apart from other trackers."""
        patience_s = self._policy.patience_s if self._was_connected else self._policy.arrival_patience_s
        away_s = self._clock() - self._good_at
        if away_s >= patience_s:
            message = (
                f"the gateway at {self._host}:{self._port} has acknowledged nothing for {away_s:.0f} s; is "
                f"it running (`piston status`, PISTON_GATEWAY_PORT)? Start again later: what was "
                f"acknowledged is not sent again"
            )
            raise GatewayAwayError(message)
        wait_s = min(self._policy.longest_retry_s, self._policy.first_retry_s * 2**self._failures)
        self._failures = min(self._failures + 1, 30)
        await asyncio.sleep(wait_s * self._jitter.uniform(0.75, 1.25))
