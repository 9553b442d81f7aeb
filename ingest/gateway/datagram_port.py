"""The device port over UDP: a datagram is acknowledged when Kafka has confirmed it, as on TCP.

There is no login; each datagram names its device, and is refused without a word if that one is not
registered (or kept apart, with `quarantine`). Trackers send what was not acknowledged again, with the same
ids, so a datagram that cannot be taken now (no room, too fast, registry down) is simply not answered.

A repeated datagram (same device, ids and bytes) is stored once as long as it is remembered: while it is on
its way it waits for the first one's report, and afterwards it is acknowledged at once. What is forgotten is
stored again and recognised by the sink, by row identity. Memory is bounded by `_REMEMBERED` entries and by
the datagrams that wait for the registry.
"""

import asyncio
import time
from collections import OrderedDict
from functools import partial
from typing import Final, cast

from ingest.codec8.datagrams import Datagram, DatagramRejected, Envelope, check_datagram
from ingest.codec8.decoding import decode_udp_datagram
from ingest.codec8.encoding import encode_udp_acknowledgement
from ingest.codec8.errors import DecodeError
from ingest.codec8.frames import PING_BYTE
from ingest.codec8.records import AVL_CODECS, CommandMessage
from ingest.gateway.flights import Flight
from ingest.gateway.hub import Hub
from ingest.gateway.messages import settle_message
from ingest.gateway.rates import RateBucket
from ingest.gateway.stats import Refusal
from ingest.registry.directory import Admission
from ingest.stream.messages import Transport
from telematics.names import Topic

_REMEMBERED: Final = 65_536
_MAX_ASKING: Final = 1_000
_MAX_BUCKETS: Final = 100_000

Address = tuple[str, int]
_Identity = tuple[str, int, int, int]


class _Datagram(Flight):
    """A datagram on its way to Kafka, and where its acknowledgement goes."""

    __slots__ = ("address", "answer", "identity", "key")

    def __init__(self, port: "DatagramPort", datagram: bytes, envelope: Envelope, address: Address) -> None:
        super().__init__(port, datagram, envelope.record_count, port.stamp(Transport.UDP), time.monotonic())
        self.address = address
        self.answer = encode_udp_acknowledgement(
            envelope.packet_id, envelope.avl_packet_id, envelope.record_count
        )
        self.key = envelope.imei.encode()
        # hash() of bytes is keyed per process (PEP 456): nobody outside can aim for a collision.
        self.identity = envelope.imei, envelope.packet_id, envelope.avl_packet_id, hash(datagram)


class DatagramPort(asyncio.DatagramProtocol):
    """All UDP devices of one gateway."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.stamp = hub.stamp
        self._transport: asyncio.DatagramTransport | None = None
        self._recent: OrderedDict[_Identity, _Datagram | None] = OrderedDict()
        self._buckets: dict[str, RateBucket] = {}
        self._asking = 0
        self._is_finishing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Take a datagram."""
        if self._is_finishing:
            return
        stats = self._hub.stats
        stats.datagrams += 1
        if data and not data.strip(bytes([PING_BYTE])):
            stats.pings += len(data)
            return
        checked = check_datagram(data, self._hub.limits.max_frame_bytes)
        if isinstance(checked, DatagramRejected):
            stats.refuse(checked.reason)
        envelope = checked.envelope
        if envelope is None:
            return
        if self._hub.directory.knows(envelope.imei):
            self._admitted(checked, data, addr, Admission.ACTIVE)
        elif self._asking < _MAX_ASKING:
            self._asking += 1
            self._hub.directory.look_up(envelope.imei, partial(self._answered, checked, data, addr))
        else:
            stats.refuse(Refusal.REGISTRY_UNAVAILABLE)

    def error_received(self, exc: Exception) -> None:
        """An acknowledgement could not be sent: the device sends again."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The port is closed."""
        self._transport = None

    def delivered(self, flight: Flight, is_durable: bool) -> None:
        """Kafka's word on a datagram: acknowledge it, or forget it."""
        datagram = cast(_Datagram, flight)
        key = datagram.identity
        if not is_durable:
            self._recent.pop(key, None)
            self._hub.stats.refuse(Refusal.NOT_DELIVERED)
            return
        if key in self._recent:
            self._recent[key] = None
        self._acknowledge(datagram)
        self._hub.stats.acknowledge(datagram.record_count, time.monotonic() - datagram.started_at)

    def relaunch(self, flight: Flight) -> bool:
        """Datagrams are not sent again by us: the device does."""
        return True

    def pump(self) -> bool:
        """Nothing waits here."""
        return True

    def finish(self) -> None:
        """Take nothing more; acknowledgements still go out."""
        self._is_finishing = True

    def close(self) -> None:
        """Close the port."""
        if self._transport is not None:
            self._transport.close()

    def _answered(
        self, checked: Datagram | DatagramRejected, data: bytes, address: Address, admission: Admission
    ) -> None:
        self._asking -= 1
        if not self._is_finishing:
            self._admitted(checked, data, address, admission)

    def _admitted(
        self, checked: Datagram | DatagramRejected, data: bytes, address: Address, admission: Admission
    ) -> None:
        envelope = checked.envelope
        if envelope is None:
            return
        topic = None
        if admission is Admission.UNKNOWN and self._hub.limits.quarantines_unknown:
            topic = Topic.QUARANTINE
        elif admission is not Admission.ACTIVE:
            is_unknown = admission is Admission.UNKNOWN
            self._hub.stats.refuse(Refusal.UNKNOWN_IMEI if is_unknown else Refusal.REGISTRY_UNAVAILABLE)
            return
        if self._is_too_fast(envelope.imei):
            self._hub.stats.refuse(Refusal.RATE_LIMIT)
        elif isinstance(checked, Datagram) and checked.codec not in AVL_CODECS:
            self._take_message(envelope.imei, checked, data, topic)
        else:
            if isinstance(checked, Datagram):
                self._hub.stats.receive(checked.codec, envelope.record_count)
            self._store(_Datagram(self, data, envelope, address), topic)

    def _store(self, datagram: _Datagram, topic: Topic | None) -> None:
        key = datagram.identity
        if key in self._recent:
            self._hub.stats.repeated_datagrams += 1
            first = self._recent[key]
            if first is None:
                self._acknowledge(datagram)
            else:
                first.address = datagram.address  # a device behind a NAT may have got another one
            return
        if not self._hub.send(datagram.key, datagram, topic):
            self._hub.stats.refuse(Refusal.NO_ROOM)
            return
        self._recent[key] = datagram
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    def _acknowledge(self, datagram: _Datagram) -> None:
        if self._transport is not None:
            self._transport.sendto(datagram.answer, datagram.address)

    def _take_message(self, imei: str, checked: Datagram, data: bytes, topic: Topic | None) -> None:
        self._hub.stats.receive(checked.codec, 0)
        try:
            message = cast(CommandMessage, decode_udp_datagram(data).content)
        except DecodeError as error:
            self._hub.stats.refuse(error.reason)
            self._hub.outbox.publish(imei, topic or Topic.AVL_FRAMES, data, Transport.UDP)
            return
        if topic is not None:
            self._hub.outbox.publish(imei, topic, data, Transport.UDP)
        else:
            settle_message(self._hub, imei, message, None)

    def _is_too_fast(self, imei: str) -> bool:
        if not self._hub.limits.max_frames_per_s:
            return False
        bucket = self._buckets.get(imei)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._buckets.clear()  # everybody starts with a full one again: once in 100,000 devices
            bucket = RateBucket(self._hub.limits.max_frames_per_s, time.monotonic())
            self._buckets[imei] = bucket
        bucket.left -= 1
        if bucket.left < 0 and bucket.refill(time.monotonic()):
            bucket.left += 1  # what is not taken does not count
            return True
        return False
