"""Trackers over TCP and UDP: one packet at a time, each until it is acknowledged, whatever happens.

They live in one event loop with whoever looks at the ledger, so that what it says at a moment is true at
that moment.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final, cast

from ingest.codec8.encoding import encode_udp_acknowledgement, wrap_tcp, wrap_udp
from ingest.codec8.session import Acknowledged, DeviceSession, LoginAccepted, SessionEvent
from tests.ingest.campaign.ledger import Ledger, Parcel
from tests.ingest.campaign.traffic import Car

_HOST: Final = "127.0.0.1"
_TCP_ANSWER_S: Final = 5.0
_UDP_ANSWER_S: Final = 0.7
_RECONNECT_S: Final = 0.1
_FORGETS: Final = 0.5
_LOST: Final = (OSError, EOFError, TimeoutError)


class UnexpectedAnswerError(AssertionError):
    """The gateway said something that it must not say."""


class _Tracker(ABC):
    def __init__(self, car: Car, ledger: Ledger, port: int, pause_s: float, stop: asyncio.Event) -> None:
        self._car = car
        self._ledger = ledger
        self._port = port
        self._pause_s = pause_s
        self._stop = stop
        self._random = Random(car.imei)

    @abstractmethod
    async def drive(self) -> None:
        """Send packets until told to stop; the last one is acknowledged, too."""

    def _next(self, *, is_owing: bool = False) -> Parcel | None:
        if self._stop.is_set() and not is_owing:
            return None
        return Parcel(self._car.imei, self._car.packet())

    def _after_loss(self, parcel: Parcel) -> Parcel:
        """What to send after a link broke: the same packet, unless this device has lost it."""
        self._ledger.lose(parcel)
        is_lost = self._car.is_forgetful and parcel.send_count and self._random.random() < _FORGETS
        if not is_lost:
            return parcel
        self._ledger.forget(parcel)
        following = self._next(is_owing=True)
        assert following is not None
        return following

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(0.5, 1.5) * self._pause_s)


class TcpTracker(_Tracker):
    """A device on a connection."""

    async def drive(self) -> None:
        """Send packets until told to stop; the last one is acknowledged, too."""
        self._parcel = self._next()
        while self._parcel is not None:
            with suppress(*_LOST):
                await self._connected()
            if self._parcel is not None:
                self._parcel = self._after_loss(self._parcel)
                await asyncio.sleep(_RECONNECT_S)

    async def _connected(self) -> None:
        reader, writer = await asyncio.open_connection(_HOST, self._port)
        try:
            session = DeviceSession(self._car.imei)
            writer.write(session.login())
            if await self._answer(session, reader) != [LoginAccepted()]:
                return  # turned away for now: the registry does not answer
            while self._parcel is not None:
                self._ledger.send(self._parcel)
                count = self._parcel.data[1]
                writer.write(session.send(wrap_tcp(self._parcel.data), count))
                answer = await self._answer(session, reader)
                if answer != [Acknowledged(count, count)]:
                    message = f"a packet of {count} records was answered with {answer}"
                    raise UnexpectedAnswerError(message)
                self._ledger.acknowledge(self._parcel)
                await self._pause()
                self._parcel = self._next()
        finally:
            writer.close()

    async def _answer(self, session: DeviceSession, reader: asyncio.StreamReader) -> Sequence[SessionEvent]:
        async with asyncio.timeout(_TCP_ANSWER_S):
            while True:
                received = await reader.read(64)
                if not received:
                    raise EOFError
                if events := session.feed(received):
                    return events


class UdpTracker(_Tracker, asyncio.DatagramProtocol):
    """A device that sends datagrams, and each again with the same ids until it is answered."""

    def __init__(self, car: Car, ledger: Ledger, port: int, pause_s: float, stop: asyncio.Event) -> None:
        super().__init__(car, ledger, port, pause_s, stop)
        self._expected = b""
        self._answered = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """An answer; those to earlier datagrams come again when those did."""
        if data == self._expected:
            self._answered.set()

    def error_received(self, exc: Exception) -> None:
        """Nobody listens just now: the datagram is sent again."""

    async def drive(self) -> None:
        """Send packets until told to stop; the last one is acknowledged, too."""
        loop = asyncio.get_running_loop()
        made, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=(_HOST, self._port))
        transport = cast(asyncio.DatagramTransport, made)
        number = 0
        parcel = self._next()
        try:
            while parcel is not None:
                number += 1
                packet_id, avl_packet_id = number % 65_536, number % 256
                datagram = wrap_udp(
                    parcel.data, packet_id=packet_id, avl_packet_id=avl_packet_id, imei=self._car.imei
                )
                self._expected = encode_udp_acknowledgement(packet_id, avl_packet_id, parcel.data[1])
                self._answered.clear()
                while not await self._ask(transport, datagram, parcel):
                    self._ledger.lose(parcel)
                self._ledger.acknowledge(parcel)
                await self._pause()
                parcel = self._next()
        finally:
            transport.close()

    async def _ask(self, transport: asyncio.DatagramTransport, datagram: bytes, parcel: Parcel) -> bool:
        self._ledger.send(parcel)
        transport.sendto(datagram)
        with suppress(TimeoutError):
            async with asyncio.timeout(_UDP_ANSWER_S):
                await self._answered.wait()
        return self._answered.is_set()


def make_trackers(
    cars: Sequence[Car], ledger: Ledger, port: int, pause_s: float, stop: asyncio.Event
) -> list[TcpTracker | UdpTracker]:
    """A tracker for each car."""
    return [(UdpTracker if car.is_udp else TcpTracker)(car, ledger, port, pause_s, stop) for car in cars]
