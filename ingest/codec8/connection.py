"""Server side of one device's TCP connection: bytes in, events out, answers as bytes; no input or output.

STRATEGY: `feed` takes whatever the network brought, in any split, and returns the events that became
complete. The caller answers with the bytes of `accept_login`, `refuse_login` or `acknowledge`. What came in
behind a login waits until the caller has decided; `feed(b"")` after `accept_login` returns its events.

    connection = DeviceConnection()
    for event in connection.feed(received): ...

What is wrong costs as little as possible. A frame that its length delimits but whose checksum, codec or
counts are wrong is reported (`FrameRejected`) and skipped, without an acknowledgement, so the device sends it
again. When the place of the next frame is unknowable (`FramingLost`), the connection has to be closed. The
gateway's checks end at N1 = N2: records are walked by the sink (`decoding.decode_tcp_frame`).

Memory is bounded by one frame of the greatest length, plus what one call of `feed` brings.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from ingest.codec8.encoding import encode_tcp_acknowledgement
from ingest.codec8.errors import ConnectionMisuseError, Reason
from ingest.codec8.frames import (
    FRAME_OVERHEAD,
    LOGIN_ACCEPTED,
    LOGIN_LENGTH,
    LOGIN_REFUSED,
    MAX_DATA_LENGTH,
    PING_BYTE,
    Frame,
    FramingLost,
    NeedMore,
    Rejected,
    delimit_frame,
    delimit_login,
    whole_avl_frame,
)
from ingest.codec8.receive_buffer import ReceiveBuffer
from ingest.codec8.records import AVL_CODECS, CodecId, Ping


@dataclass(frozen=True, slots=True)
class LoginRequested:
    """The device presents its IMEI and waits for one byte: `accept_login()` or `refuse_login()`."""

    imei: str


class FrameReceived(NamedTuple):
    """A frame of AVL records that passed the gateway's checks; acknowledge it once it is stored.

    A named tuple because there is one for every frame: a frozen dataclass takes three times as long to build.

    Attributes:
        frame: the whole wire frame, preamble to checksum.
        codec_id: which of the AVL codecs.
        record_count: number of data 1, the count to acknowledge.
    """

    frame: bytes
    codec_id: CodecId
    record_count: int


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A frame of codecs 12 to 15. Never acknowledge it: the device would take the four bytes for a command.

    Attributes:
        frame: the whole wire frame, preamble to checksum.
        codec_id: which of the command codecs.
    """

    frame: bytes
    codec_id: CodecId


@dataclass(frozen=True, slots=True)
class FrameRejected:
    """A delimited frame that is wrong; reading goes on behind it and it gets no acknowledgement.

    Attributes:
        reason: BAD_CRC, UNKNOWN_CODEC or COUNT_MISMATCH.
        consumed: bytes of the frame.
        detail: a sentence for people.
        frame: the whole wire frame, for the dead letters.
    """

    reason: Reason
    consumed: int
    detail: str
    frame: bytes


Event = LoginRequested | FrameReceived | CommandReceived | Ping | FrameRejected | FramingLost


class ConnectionState(Enum):
    """Where a connection stands."""

    AWAITING_LOGIN = auto()
    AWAITING_VERDICT = auto()
    OPEN = auto()
    CLOSED = auto()


class _Step(Enum):
    """What moves a connection from one state to the next."""

    LOGIN_READ = auto()
    ACCEPTED = auto()
    REFUSED = auto()
    ACKNOWLEDGED = auto()
    LOST = auto()
    HUNG_UP = auto()


_S, _T = ConnectionState, _Step
_TRANSITIONS: Final = {
    _S.AWAITING_LOGIN: {_T.LOGIN_READ: _S.AWAITING_VERDICT, _T.LOST: _S.CLOSED, _T.HUNG_UP: _S.CLOSED},
    _S.AWAITING_VERDICT: {
        _T.ACCEPTED: _S.OPEN,
        _T.REFUSED: _S.CLOSED,
        _T.LOST: _S.CLOSED,
        _T.HUNG_UP: _S.CLOSED,
    },
    _S.OPEN: {_T.ACKNOWLEDGED: _S.OPEN, _T.LOST: _S.CLOSED, _T.HUNG_UP: _S.CLOSED},
    _S.CLOSED: {_T.HUNG_UP: _S.CLOSED},
}
"""Every transition that exists; any other is a bug of the caller."""


_ACKNOWLEDGEMENTS: Final = tuple(map(encode_tcp_acknowledgement, range(256)))


class DeviceConnection:
    """One device's connection, seen from the server.

    Args:
        max_data_length: longest data field accepted, in bytes.
    """

    __slots__ = ("_buffer", "_imei", "_max_data_length", "_pending", "_state")

    def __init__(self, max_data_length: int = MAX_DATA_LENGTH) -> None:
        self._buffer = ReceiveBuffer()
        self._pending = self._buffer.head  # the same bytes; asking them costs no call
        self._max_data_length = max_data_length
        self._state = ConnectionState.AWAITING_LOGIN
        self._imei: str | None = None

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._state

    @property
    def imei(self) -> str | None:
        """The IMEI that was presented, whether or not it was accepted; None before."""
        return self._imei

    @property
    def pending_bytes(self) -> int:
        """Bytes that arrived and are part of something incomplete; a login or frame is under way if > 0."""
        return len(self._pending)

    def feed(self, received: bytes) -> list[Event]:
        """Take what the network brought and return the events that became complete.

        Bytes after the end (refused, framing lost, hung up) are ignored.
        """
        whole = self.whole_frame(received)
        if whole is not None:
            return [FrameReceived(received, *whole)]
        if self._state is not ConnectionState.CLOSED:
            self._buffer.append(received)
        events = []
        while (event := self.next_event()) is not None:
            events.append(event)
        return events

    def whole_frame(self, received: bytes) -> tuple[CodecId, int] | None:
        """Codec and record count, if what the network brought is one AVL frame that passes the checks.

        What nearly every read brings, without the cost of an event. It is taken then; None takes nothing, and
        says nothing but that `feed` has to look.
        """
        if self._pending or self._state is not ConnectionState.OPEN:
            return None
        return whole_avl_frame(received, self._max_data_length)

    def next_event(self) -> Event | None:
        """The next event in what has arrived, or None when more bytes, or a verdict, are needed."""
        if not self._pending:
            return None  # after every whole frame: the common end, and worth a third of the call
        if self._state is ConnectionState.AWAITING_LOGIN:
            return self._ping() or self._login()
        if self._state is ConnectionState.OPEN:
            return self._ping() or self._frame()
        if len(self._buffer) > self._max_data_length + FRAME_OVERHEAD:
            return self._lose(
                FramingLost(Reason.BAD_LENGTH, "the peer sent on before its login was answered")
            )
        return None

    def hang_up(self) -> list[Event]:
        """The peer closed its side: TRUNCATED when it did so in the middle of something, else nothing."""
        left = len(self._buffer)
        self._step(_Step.HUNG_UP)
        self._buffer.clear()
        return (
            [FramingLost(Reason.TRUNCATED, f"the peer hung up after {left} bytes of a frame")] if left else []
        )

    def accept_login(self) -> bytes:
        """The byte that lets the device send.

        Raises:
            ConnectionMisuseError: no login waits for an answer.
        """
        self._step(_Step.ACCEPTED)
        return LOGIN_ACCEPTED

    def refuse_login(self) -> bytes:
        """The byte that turns the device away; close the connection after sending it.

        Raises:
            ConnectionMisuseError: no login waits for an answer.
        """
        self._step(_Step.REFUSED)
        self._buffer.clear()
        return LOGIN_REFUSED

    def acknowledge(self, count: int) -> bytes:
        """The four bytes that let the device forget `count` records.

        Send them in the order of the frames, in one write, and only for AVL frames.

        Raises:
            ConnectionMisuseError: the connection is not open.
            EncodeError: the count is not 0 to 255.
        """
        if self._state is not ConnectionState.OPEN or not 0 <= count < len(_ACKNOWLEDGEMENTS):
            self._step(_Step.ACKNOWLEDGED)
            return encode_tcp_acknowledgement(count)
        return _ACKNOWLEDGEMENTS[count]

    def _ping(self) -> Ping | None:
        count = self._buffer.skip(PING_BYTE)
        return Ping(count) if count else None

    def _login(self) -> LoginRequested | FramingLost | None:
        outcome = delimit_login(self._buffer.head)
        if isinstance(outcome, NeedMore):
            return None
        if isinstance(outcome, FramingLost):
            return self._lose(outcome)
        self._buffer.consume(LOGIN_LENGTH)
        self._step(_Step.LOGIN_READ)
        self._imei = outcome
        return LoginRequested(outcome)

    def _frame(self) -> FrameReceived | CommandReceived | FrameRejected | FramingLost | None:
        outcome = delimit_frame(self._buffer.head, self._max_data_length)
        if isinstance(outcome, NeedMore):
            return None
        if isinstance(outcome, FramingLost):
            return self._lose(outcome)
        self._buffer.consume(len(outcome.wire))
        if isinstance(outcome, Rejected):
            return FrameRejected(outcome.reason, len(outcome.wire), outcome.detail, outcome.wire)
        return _received(outcome)

    def _lose(self, outcome: FramingLost) -> FramingLost:
        self._step(_Step.LOST)
        self._buffer.clear()
        return outcome

    def _step(self, step: _Step) -> None:
        following = _TRANSITIONS[self._state].get(step)
        if following is None:
            message = f"{step.name.lower()} does not follow on {self._state.name.lower()}"
            raise ConnectionMisuseError(message)
        self._state = following


def _received(frame: Frame) -> FrameReceived | CommandReceived:
    if frame.codec in AVL_CODECS:
        return FrameReceived(frame.wire, frame.codec, frame.record_count)
    return CommandReceived(frame.wire, frame.codec)
