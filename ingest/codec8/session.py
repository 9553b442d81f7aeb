"""Device side of a TCP connection: login, send, await the acknowledgement; no input or output.

Used by senders (replay, simulation). As trackers do, one packet is in flight at a time: `send` is refused
until the packet before it was acknowledged. A device sends a packet again, on a new connection, when the
answer does not come or names another count; that decision is the caller's.

    session = DeviceSession(imei)
    write(session.login()); events = session.feed(read())
    write(session.send(frame, count)); events = session.feed(read())
"""

from dataclasses import dataclass
from enum import Enum, auto
from struct import Struct
from typing import Final

from ingest.codec8.encoding import encode_login
from ingest.codec8.errors import ConnectionMisuseError
from ingest.codec8.frames import (
    ACKNOWLEDGEMENT_LENGTH,
    LOGIN_ACCEPTED,
    LOGIN_REFUSED,
    MAX_DATA_LENGTH,
    Frame,
    NeedMore,
    delimit_frame,
)
from ingest.codec8.receive_buffer import ReceiveBuffer
from ingest.codec8.records import COMMAND_CODECS

_U32: Final = Struct(">I")


@dataclass(frozen=True, slots=True)
class LoginAccepted:
    """The server lets the device send."""


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """The server turned the device away and will close the connection."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The server took `count` records of the `sent` in the packet.

    A count other than `sent` means to a device that the whole packet is to be sent again.
    """

    count: int
    sent: int

    @property
    def is_complete(self) -> bool:
        """Whether the server took all of them."""
        return self.count == self.sent


@dataclass(frozen=True, slots=True)
class CommandRequested:
    """The server sent a command frame (codec 12 or 14); `decoding.decode_tcp_frame` reads it."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class ProtocolViolation:
    """The server said what nothing allows now: the device closes the connection and starts again."""

    detail: str


SessionEvent = LoginAccepted | LoginRefused | Acknowledged | CommandRequested | ProtocolViolation


class SessionState(Enum):
    """Where a session stands."""

    NEW = auto()
    AWAITING_VERDICT = auto()
    IDLE = auto()
    AWAITING_ACKNOWLEDGEMENT = auto()
    CLOSED = auto()


class _Step(Enum):
    LOG_IN = auto()
    SEND = auto()
    ACCEPTED = auto()
    REFUSED = auto()
    ACKNOWLEDGED = auto()
    VIOLATED = auto()


_S, _T = SessionState, _Step
_TRANSITIONS: Final = {
    _S.NEW: {_T.LOG_IN: _S.AWAITING_VERDICT, _T.VIOLATED: _S.CLOSED},
    _S.AWAITING_VERDICT: {_T.ACCEPTED: _S.IDLE, _T.REFUSED: _S.CLOSED, _T.VIOLATED: _S.CLOSED},
    _S.IDLE: {_T.SEND: _S.AWAITING_ACKNOWLEDGEMENT, _T.VIOLATED: _S.CLOSED},
    _S.AWAITING_ACKNOWLEDGEMENT: {_T.ACKNOWLEDGED: _S.IDLE},
    _S.CLOSED: {},
}
"""Every transition that exists; any other is a bug of the caller."""


class DeviceSession:
    """One connection, seen from the device.

    Args:
        imei: 15 digits.
    """

    def __init__(self, imei: str) -> None:
        self._login = encode_login(imei)
        self._buffer = ReceiveBuffer()
        self._state = SessionState.NEW
        self._sent = 0

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._state

    def login(self) -> bytes:
        """The bytes that present the IMEI.

        Raises:
            ConnectionMisuseError: it was presented already.
        """
        self._step(_Step.LOG_IN)
        return self._login

    def send(self, frame: bytes, count: int) -> bytes:
        """The bytes of a packet, and from now on an acknowledgement is awaited.

        Args:
            frame: the whole TCP frame.
            count: records in it.

        Raises:
            ConnectionMisuseError: not logged in, or a packet is in flight.
        """
        self._step(_Step.SEND)
        self._sent = count
        return frame

    def feed(self, received: bytes) -> list[SessionEvent]:
        """Take what the network brought, in any split, and return the events that became complete."""
        if self._state is not SessionState.CLOSED:
            self._buffer.append(received)
        events = []
        while (event := self.next_event()) is not None:
            events.append(event)
        return events

    def next_event(self) -> SessionEvent | None:
        """The next event in what has arrived, or None when more bytes are needed."""
        if not len(self._buffer):
            return None
        if self._state is SessionState.AWAITING_VERDICT:
            return self._verdict()
        if self._state is SessionState.AWAITING_ACKNOWLEDGEMENT:
            return self._acknowledgement()
        if self._state is SessionState.IDLE:
            return self._command()
        return self._violation("the server spoke before the device")

    def _verdict(self) -> SessionEvent:
        verdict = bytes(self._buffer.head[:1])
        if verdict == LOGIN_ACCEPTED:
            self._buffer.consume(1)
            self._step(_Step.ACCEPTED)
            return LoginAccepted()
        if verdict == LOGIN_REFUSED:
            self._buffer.clear()
            self._step(_Step.REFUSED)
            return LoginRefused()
        return self._violation("the answer to a login is 00 or 01")

    def _acknowledgement(self) -> SessionEvent | None:
        if len(self._buffer) < ACKNOWLEDGEMENT_LENGTH:
            return None
        (count,) = _U32.unpack_from(self._buffer.head)
        if not count and self._sent and len(self._buffer) > ACKNOWLEDGEMENT_LENGTH:
            # A command may cross our packet on the way, and its preamble reads like a count of 0; a server
            # that means 0 sends nothing behind it.
            outcome = delimit_frame(self._buffer.head, MAX_DATA_LENGTH)
            if isinstance(outcome, NeedMore):
                return None
            if isinstance(outcome, Frame) and outcome.codec in COMMAND_CODECS:
                self._buffer.consume(len(outcome.wire))
                return CommandRequested(outcome.wire)
        self._buffer.consume(ACKNOWLEDGEMENT_LENGTH)
        self._step(_Step.ACKNOWLEDGED)
        return Acknowledged(count, self._sent)

    def _command(self) -> SessionEvent | None:
        outcome = delimit_frame(self._buffer.head, MAX_DATA_LENGTH)
        if isinstance(outcome, NeedMore):
            return None
        if isinstance(outcome, Frame) and outcome.codec in COMMAND_CODECS:
            self._buffer.consume(len(outcome.wire))
            return CommandRequested(outcome.wire)
        return self._violation("between packets a server sends nothing but command frames")

    def _violation(self, detail: str) -> ProtocolViolation:
        self._buffer.clear()
        self._step(_Step.VIOLATED)
        return ProtocolViolation(detail)

    def _step(self, step: _Step) -> None:
        following = _TRANSITIONS[self._state].get(step)
        if following is None:
            message = f"{step.name.lower()} does not follow on {self._state.name.lower()}"
            raise ConnectionMisuseError(message)
        self._state = following
