"""The pump between one socket and one `DeviceConnection`.

The promise ("acknowledge last"), in order:

1. a complete frame is handed to the producer, with the moment at which it came in;
2. Kafka's delivery report for it arrives (`delivered`);
3. only then the four bytes of its count are written, in one write, in the order of the frames.

What fails between 1 and 3 is never acknowledged: the connection ends and the device sends again. What the
producer has no room for waits here, at most what one read brought, and the socket is not read meanwhile.
A frame whose checksum is right and that still cannot be read (a codec or counts nobody knows) goes the same
way: the sink parks it as a dead letter, and without an acknowledgement the device would resend it for ever.
"""

import asyncio
from collections import deque
from typing import NamedTuple, cast

from ingest.codec8.connection import (
    CommandReceived,
    ConnectionState,
    DeviceConnection,
    Event,
    FrameReceived,
    FrameRejected,
    LoginRequested,
)
from ingest.codec8.errors import Reason
from ingest.codec8.frames import FRAME_OVERHEAD, HEADER_LENGTH, FramingLost
from ingest.codec8.records import Ping
from ingest.gateway.hub import Flight, Hub
from ingest.gateway.stats import Refusal
from ingest.registry.directory import Admission

_COUNT_AT = HEADER_LENGTH + 1  # number of data 1, behind the codec id
_PARKED = frozenset({Reason.UNKNOWN_CODEC, Reason.COUNT_MISMATCH})


class _Held(NamedTuple):
    frame: bytes
    record_count: int
    received_at_ms: int


class DeviceProtocol(asyncio.Protocol):
    """One connection. Everything runs in the event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._device = DeviceConnection(hub.limits.max_frame_bytes)
        self._transport: asyncio.Transport | None = None
        self._key = b""
        self._flights: deque[Flight] = deque()
        self._held: deque[_Held] = deque()
        self._is_paused = False
        self._is_finishing = False
        self.deadline = 0.0
        """Loop time at which the connection is to end unless something moves."""
        self._deadline_reason = Refusal.LOGIN_TIMEOUT

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the login's clock, or turn the peer away when there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._hub.stats.connections += 1
        if not self._hub.enter(self):
            self._end(Refusal.CONNECTION_LIMIT)
            return
        self._transport.set_write_buffer_limits(high=self._hub.limits.max_unread_answer_bytes)
        self.deadline = self._hub.loop.time() + self._hub.limits.login_timeout_s

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        if self._is_finishing:
            return  # unread bytes would turn the close into a reset, which takes the last ACK with it
        self._take(self._device.feed(data))

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
        self._hub.leave(self)

    def delivered(self, flight: Flight, is_durable: bool) -> None:
        """Kafka's word on a frame: acknowledge it, and those before it, or end the connection."""
        if self._transport is None:
            self._hub.stats.unsent_acknowledgements += is_durable
            return
        if not is_durable:
            self._end(Refusal.NOT_DELIVERED)
            return
        flight.is_delivered = True
        stats, flights = self._hub.stats, self._flights
        while flights and flights[0].is_delivered:
            count = flights.popleft().record_count
            self._transport.write(self._device.acknowledge(count))
            stats.acknowledged_frames += 1
            stats.acknowledged_records += count
        if self._held:
            self.pump()
        elif self._is_finishing and not flights:
            self._transport.close()

    def pump(self) -> bool:
        """Hand over held frames as far as there is room; False if the producer has none."""
        while self._held and len(self._flights) < self._hub.limits.max_in_flight:
            if not self._launch(*self._held[0]):
                return False
            self._held.popleft()
        if not self._held and self._is_paused and self._transport is not None:
            self._is_paused = False
            self._set_deadline(made_progress=True)
            self._transport.resume_reading()
        return True

    def finish(self) -> None:
        """Take nothing more; close once what is on its way to Kafka is acknowledged."""
        self._is_finishing = True
        self._held.clear()
        if self._transport is None:
            return
        if not self._flights:
            self._transport.close()
        elif self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def expire(self) -> None:
        """The deadline passed."""
        if not self._is_paused:  # else it is us who keep the peer waiting
            self._end(self._deadline_reason)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if type(event) is FrameReceived:
                self._accept_frame(event.frame, event.record_count)
            else:
                self._take_other(event)
        if self._transport is not None:
            self._set_deadline(made_progress=bool(events))
            if self._held and not self._is_paused:
                self._is_paused = True
                self._hub.stats.pauses += 1
                self._transport.pause_reading()

    def _take_other(self, event: Event) -> None:
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
                self._accept_frame(event.frame, event.frame[_COUNT_AT])
        elif isinstance(event, CommandReceived):
            self._hub.stats.ignored_commands += 1
        elif isinstance(event, FramingLost):
            self._end(event.reason)

    def _decide(self, admission: Admission) -> None:
        if self._transport is None or self._device.state is not ConnectionState.AWAITING_VERDICT:
            return  # gone while the registry was asked
        if admission is Admission.ACTIVE:
            self._key = (self._device.imei or "").encode()
            self._hub.stats.logins += 1
            self._transport.write(self._device.accept_login())
            self._take(self._device.feed(b""))
        elif admission is Admission.UNKNOWN:
            self._hub.stats.refuse(Refusal.UNKNOWN_IMEI)
            self._transport.write(self._device.refuse_login())
            self._transport.close()
        else:
            self._end(Refusal.REGISTRY_UNAVAILABLE)

    def _accept_frame(self, frame: bytes, record_count: int) -> None:
        received_at_ms = self._hub.now_ms()
        if not self._has_room() or not self._launch(frame, record_count, received_at_ms):
            self._held.append(_Held(frame, record_count, received_at_ms))

    def _has_room(self) -> bool:
        return not self._held and len(self._flights) < self._hub.limits.max_in_flight

    def _launch(self, frame: bytes, record_count: int, received_at_ms: int) -> bool:
        flight = Flight(self, record_count)
        if not self._hub.send(self._key, frame, received_at_ms, flight):
            return False
        self._flights.append(flight)
        return True

    def _set_deadline(self, *, made_progress: bool) -> None:
        if self._device.state is not ConnectionState.OPEN:
            return  # the login's clock runs on
        limits, now = self._hub.limits, self._hub.loop.time()
        if not self._device.pending_bytes:
            self._deadline_reason = Refusal.IDLE_TIMEOUT
            self.deadline = now + limits.idle_timeout_s
        elif made_progress or self._deadline_reason is not Refusal.FRAME_TIMEOUT:
            self._deadline_reason = Refusal.FRAME_TIMEOUT
            self.deadline = now + limits.frame_timeout_s

    def _end(self, reason: str) -> None:
        if self._transport is not None:
            self._hub.stats.refuse(reason)
            self._held.clear()
            transport, self._transport = self._transport, None
            transport.abort()
