"""The pump between one socket and one `DeviceConnection`.

The promise ("acknowledge last"), in order:

1. a complete frame is handed to the producer, with the moment at which it came in;
2. Kafka's delivery report for it arrives (`delivered`);
3. only then the four bytes of its count are written, in one write, in the order of the frames.

What fails between 1 and 3 is never acknowledged: a frame that Kafka does not take is sent again while the
device waits, and a device that hangs up sends again. What the producer has no room for waits here, at most
what one read brought, and the socket is not read meanwhile. A frame whose checksum is right and that still
cannot be read (a codec or counts nobody knows) goes the same way: the sink parks it as a dead letter, and
without an acknowledgement the device would resend it for ever.

A command is written in one piece and never between a frame and its acknowledgement. What devices say in
codecs 12 to 15 is never acknowledged: they would take the four bytes for a command.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Final, cast

from ingest.codec8.connection import (
    CommandReceived,
    ConnectionState,
    DeviceConnection,
    Event,
    FrameReceived,
    FrameRejected,
    LoginRequested,
)
from ingest.codec8.decoding import decode_tcp_frame
from ingest.codec8.errors import DecodeError, Reason
from ingest.codec8.frames import FRAME_OVERHEAD, HEADER_LENGTH, FramingLost
from ingest.codec8.records import CommandMessage, Ping
from ingest.commands.models import Command
from ingest.gateway.command_slot import CommandSlot
from ingest.gateway.flights import Flight
from ingest.gateway.hub import Hub
from ingest.gateway.messages import settle_message
from ingest.gateway.rates import RateBucket
from ingest.gateway.stats import Refusal
from ingest.registry.directory import Admission
from ingest.stream.messages import Transport
from telematics.names import Topic

_WITHOUT_LIMIT: Final = RateBucket(0.0, 0.0)
_COUNT_AT: Final = HEADER_LENGTH + 1  # number of data 1, behind the codec id
_PARKED: Final = frozenset({Reason.UNKNOWN_CODEC, Reason.COUNT_MISMATCH})

# Why a socket is not read; it is read when no reason is left.
_NO_ROOM: Final = 1
_TOO_FAST: Final = 2


class DeviceProtocol(asyncio.Protocol):
    """One connection. Everything runs in the event loop."""

    __slots__ = (
        "_begun_at",
        "_bucket",
        "_by_codec",
        "_device",
        "_flights",
        "_held",
        "_hub",
        "_is_finishing",
        "_key",
        "_max_in_flight",
        "_moved_at",
        "_pauses",
        "_slot",
        "_topic",
        "_transport",
        "owner",
    )

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._device = DeviceConnection(hub.limits.max_frame_bytes)
        self._by_codec = hub.stats.by_codec
        self._max_in_flight = hub.limits.max_in_flight
        self._transport: asyncio.Transport | None = None
        self._key = b""
        self._topic: Topic | None = None
        self._flights: deque[Flight] = deque()
        self._held: deque[Flight] = deque()
        self._slot = CommandSlot()
        self._bucket = _WITHOUT_LIMIT
        self._pauses = 0
        self._is_finishing = False
        self._moved_at = monotonic()
        """When bytes came in or an acknowledgement went out last, and before the login when it began."""
        self._begun_at = 0.0
        """When the incomplete frame began; 0 between frames."""
        self.owner = ""

    @property
    def imei(self) -> str:
        """Whose connection it is; empty before the login."""
        return self._device.imei or ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the login's clock, or turn the peer away when there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._hub.stats.connections += 1
        if not self._hub.enter(self):
            self._end(Refusal.CONNECTION_LIMIT)
            return
        self._transport.set_write_buffer_limits(high=self._hub.limits.max_unread_answer_bytes)

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        if self._is_finishing:
            return  # unread bytes would turn the close into a reset, which takes the last ACK with it
        whole = self._device.whole_frame(data)
        if whole is None:
            self._take(self._device.feed(data))
            return
        # What nearly every read brings, without the detour by events: a third of the gateway's own work.
        codec, record_count = whole
        counts = self._by_codec[codec]
        counts[0] += 1
        counts[1] += record_count
        now = self._moved_at = monotonic()
        self._accept_frame(data, record_count, now)
        self._bucket.left -= 1
        if self._held or self._bucket.left < 0:
            self._rein_in()

    def eof_received(self) -> bool:
        """The peer sends no more; it may still wait for acknowledgements."""
        self._is_finishing = True
        return bool(self._flights or self._held)

    def pause_writing(self) -> None:
        """The peer does not read its acknowledgements."""
        self._end(Refusal.ANSWERS_UNREAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything; what is on its way to Kafka arrives there all the same."""
        if self._transport is not None:
            self._transport = None
            for lost in self._device.hang_up():
                if isinstance(lost, FramingLost):
                    self._hub.stats.refuse(lost.reason)
        self._held.clear()
        self._flights.clear()
        if self.owner:
            self._hub.commands.leave(self, self._slot.outstanding, self._slot.waiting)
        self._hub.leave(self)

    def delivered(self, flight: Flight, is_durable: bool) -> None:
        """Kafka's word on a frame: acknowledge it and those before it, or have it sent again."""
        stats, flights, transport = self._hub.stats, self._flights, self._transport
        if transport is None:
            stats.unsent_acknowledgements += is_durable
            return
        if not is_durable:
            if self._is_finishing:
                self._end(Refusal.NOT_DELIVERED)
            else:
                self._hub.retry(flight)
            return
        flight.is_delivered = True
        now = self._moved_at = monotonic()
        while flights and flights[0].is_delivered:
            done = flights.popleft()
            if self._transport is transport:
                transport.write(self._device.acknowledge(done.record_count))
                stats.acknowledge(done.record_count, now - done.started_at)
            else:  # a write that overflows the buffer calls `pause_writing`, which ends the connection
                stats.unsent_acknowledgements += 1
        if self._held:
            self.pump()
        elif self._is_finishing or self._slot.waiting is not None:
            self._go_on()

    def _go_on(self) -> None:
        """When nothing waits for Kafka any more: close, or write the command that waits."""
        if self._transport is None or self._flights:
            return
        if self._is_finishing:
            self._transport.close()
        else:
            self._write_command()

    def relaunch(self, flight: Flight) -> bool:
        """Send a frame again that Kafka did not take; False if there is still no room."""
        return self._transport is None or self._hub.send(self._key, flight, self._topic)

    def pump(self) -> bool:
        """Hand over held frames as far as there is room; False if the producer has none."""
        while self._held and len(self._flights) < self._max_in_flight:
            if not self._launch(self._held[0]):
                return False
            self._held.popleft()
        if not self._held:
            self._read_on(_NO_ROOM)
        return True

    def finish(self) -> None:
        """Take nothing more; close once what is on its way to Kafka is acknowledged."""
        self._is_finishing = True
        self._held.clear()
        if self._transport is None:
            return
        if not self._flights:
            self._transport.close()
        elif self._pauses:
            self._pauses = 0
            self._transport.resume_reading()

    def give_up(self) -> None:
        """End at once; what Kafka did not confirm is not acknowledged."""
        self._end(Refusal.NOT_DELIVERED)

    def yield_to_newer(self) -> None:
        """The device has logged in anew: a socket that nobody reads is of no use to it."""
        if self._pauses & _NO_ROOM:
            self._end(Refusal.SUPERSEDED)

    def expire(self, now: float) -> None:
        """End if nothing moved for too long; `now` is in seconds of the monotonic clock."""
        if self._pauses or self._flights:
            return  # it is us who keep the peer waiting
        limits = self._hub.limits
        if self._device.state is not ConnectionState.OPEN:
            if now - self._moved_at > limits.login_timeout_s:
                self._end(Refusal.LOGIN_TIMEOUT)
        elif self._begun_at:
            if now - self._begun_at > limits.frame_timeout_s:
                self._end(Refusal.FRAME_TIMEOUT)
        elif now - self._moved_at > limits.idle_timeout_s:
            self._end(Refusal.IDLE_TIMEOUT)

    def is_ready(self, quiet_s: float) -> bool:
        """Whether a command could be written now, after a silence of this many seconds."""
        if self._transport is None or self._is_finishing or self._flights or self._held:
            return False
        now = monotonic()
        return (
            not self._device.pending_bytes
            and now - self._moved_at >= quiet_s
            and self._slot.is_free(now, self._hub.limits.answer_timeout_s)
        )

    def send_command(self, command: Command) -> bool:
        """Take a command and write it between two packets; False if the session cannot any more."""
        if self._transport is None or self._is_finishing:
            return False
        self._slot.waiting = command
        if not self._flights and not self._held:
            self._write_command()
        return True

    def _write_command(self) -> None:
        if self._transport is not None:
            self._transport.write(self._slot.write(monotonic()))
            self._hub.stats.commands_sent += 1

    def _take(self, events: list[Event]) -> None:
        now = monotonic()
        for event in events:
            if type(event) is FrameReceived:
                frame, codec, record_count = event
                counts = self._by_codec[codec]
                counts[0] += 1
                counts[1] += record_count
                self._accept_frame(frame, record_count, now)
            else:
                self._take_other(event, now)
        if self._transport is None:
            return
        if self._device.state is ConnectionState.OPEN:  # else the login's clock runs on
            self._moved_at = now
            if not self._device.pending_bytes:
                self._begun_at = 0.0
            elif events or not self._begun_at:
                self._begun_at = now
        self._bucket.left -= len(events)
        self._rein_in()

    def _rein_in(self) -> None:
        """Read no more for now if what came in finds no room, or is more than a device may send."""
        if self._held and not self._pauses & _NO_ROOM:
            self._hub.stats.pauses += 1
            self._stop_reading(_NO_ROOM)
        if self._bucket.left < 0:
            self._throttle(self._bucket)

    def _take_other(self, event: Event, now: float) -> None:
        if isinstance(event, Ping):
            self._hub.stats.pings += event.count
        elif isinstance(event, LoginRequested):
            if self._hub.directory.knows(event.imei):
                self._decide(Admission.ACTIVE)
            else:
                self._hub.directory.look_up(event.imei, self._decide)
        elif isinstance(event, FrameRejected):
            self._hub.stats.refuse(event.reason)
            if event.reason in _PARKED and len(event.frame) > FRAME_OVERHEAD + 1:
                self._accept_frame(event.frame, event.frame[_COUNT_AT], now)
        elif isinstance(event, CommandReceived):
            self._take_message(event)
        elif isinstance(event, FramingLost):
            self._end(event.reason)

    def _take_message(self, event: CommandReceived) -> None:
        self._hub.stats.receive(event.codec_id, 0)
        if self._topic is not None:
            self._hub.outbox.publish(self.imei, self._topic, event.frame)
            return
        try:
            message = cast(CommandMessage, decode_tcp_frame(event.frame, len(event.frame)))
        except DecodeError as error:
            self._hub.stats.refuse(error.reason)
            self._hub.outbox.publish(self.imei, Topic.AVL_FRAMES, event.frame)
            return
        settle_message(self._hub, self.imei, message, self._slot)

    def _decide(self, admission: Admission) -> None:
        if self._transport is None or self._device.state is not ConnectionState.AWAITING_VERDICT:
            return  # gone while the registry was asked
        if admission is Admission.UNKNOWN and self._hub.limits.quarantines_unknown:
            self._hub.stats.quarantined_logins += 1
            self._topic = Topic.QUARANTINE
            self._let_in()
        elif admission is Admission.ACTIVE:
            self._hub.stats.logins += 1
            for older in self._hub.commands.sessions(self.imei):
                older.yield_to_newer()
            self._enter_commands()
            self._let_in()
        elif admission is Admission.UNKNOWN:
            self._hub.stats.refuse(Refusal.UNKNOWN_IMEI)
            if self._transport is not None:
                self._transport.write(self._device.refuse_login())
                self._transport.close()
        else:
            self._end(Refusal.REGISTRY_UNAVAILABLE)

    def _let_in(self) -> None:
        self._key = self.imei.encode()
        if rate := self._hub.limits.max_frames_per_s:
            self._bucket = RateBucket(rate, monotonic())
        if self._transport is not None:
            self._transport.write(self._device.accept_login())
            self._take(self._device.feed(b""))

    def _enter_commands(self) -> None:
        self.owner = self._hub.name_session()
        self._hub.commands.enter(self)

    def _accept_frame(self, frame: bytes, record_count: int, now: float) -> None:
        flight = Flight(self, frame, record_count, self._hub.stamp(Transport.TCP), now)
        if self._held or len(self._flights) >= self._max_in_flight or not self._launch(flight):
            self._held.append(flight)

    def _launch(self, flight: Flight) -> bool:
        if self._topic is not None and self._hub.directory.knows(self.imei):
            self._topic = None  # registered meanwhile
            self._enter_commands()
        if not self._hub.send(self._key, flight, self._topic):
            return False
        self._flights.append(flight)
        return True

    def _throttle(self, bucket: RateBucket) -> None:
        wait_s = bucket.refill(monotonic())
        if wait_s and self._transport is not None:
            self._hub.stats.throttles += 1
            self._stop_reading(_TOO_FAST)
            self._hub.loop.call_later(wait_s, self._read_on, _TOO_FAST)

    def _stop_reading(self, reason: int) -> None:
        if self._transport is not None:
            if not self._pauses:
                self._transport.pause_reading()
            self._pauses |= reason

    def _read_on(self, reason: int) -> None:
        if self._transport is not None and self._pauses & reason:
            self._pauses &= ~reason
            if not self._pauses:
                self._moved_at = monotonic()
                self._begun_at = self._moved_at if self._device.pending_bytes else 0.0
                self._transport.resume_reading()

    def _end(self, reason: str) -> None:
        if self._transport is not None:
            self._hub.stats.refuse(reason)
            self._held.clear()
            transport, self._transport = self._transport, None
            transport.abort()
