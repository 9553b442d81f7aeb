"""The ways in which bytes from a device can be wrong.

PistonError
├── DecodeError            the bytes are not what the protocol says; `reason` is the first failed check
│   ├── FrameError         the envelope is wrong: length, preamble, checksum, or bytes behind it
│   └── PacketError        the envelope is right, what it carries is not
├── EncodeError            a value does not fit in its field; nothing was encoded
└── ConnectionMisuseError  our own code called a connection method in a state that does not allow it
"""

from enum import StrEnum

from telematics.errors import PistonError


class Reason(StrEnum):
    """Why bytes were refused. The order is the order in which the checks are made."""

    TRUNCATED = "truncated"
    BAD_PREAMBLE = "bad_preamble"
    BAD_LENGTH = "bad_length"
    BAD_CRC = "bad_crc"
    UNKNOWN_CODEC = "unknown_codec"
    COUNT_MISMATCH = "count_mismatch"
    IO_MISMATCH = "io_mismatch"
    TRAILING_BYTES = "trailing_bytes"
    BAD_IMEI = "bad_imei"


class DecodeError(PistonError):
    """Bytes that the protocol does not allow.

    The text never holds payload bytes, positions or an IMEI, so that it may be logged.

    Attributes:
        reason: the first check that failed.
        detail: a sentence for people.
        offset: where in the decoded bytes the fault shows, counted from 0.
    """

    def __init__(self, reason: Reason, detail: str, offset: int = 0) -> None:
        super().__init__(f"{reason} at byte {offset}: {detail}")
        self.reason = reason
        self.detail = detail
        self.offset = offset


class FrameError(DecodeError):
    """The envelope is wrong: what it carries was not looked at, or has bytes behind it."""


class PacketError(DecodeError):
    """The envelope is right and what it carries is not."""


class EncodeError(PistonError):
    """A value does not fit in the field that the protocol has for it."""


class ConnectionMisuseError(PistonError):
    """A method was called in a state of the connection that does not allow it: a bug of the caller."""
