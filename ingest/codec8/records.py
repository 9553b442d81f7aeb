"""What a packet says, as immutable values that keep the wire's own integers.

Scaling and meaning are the business of whoever reads a value: degrees are properties here, IO elements get
their meaning from `telematics.avl.dictionary`. A priority above 2 or a generation type above 7 is kept as it
came: losing a position because of an unknown flag would be worse.

`IoElement` and `AvlRecord` are named tuples because a gateway makes millions of them: on the development
machine eight elements take 2.9 µs to build as named tuples and 7.3 µs as frozen dataclasses.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

DEGREES_PER_UNIT = 10_000_000
"""Coordinates travel as degrees times ten million."""


class CodecId(IntEnum):
    """First byte of the data field."""

    CODEC_8 = 0x08
    CODEC_8_EXTENDED = 0x8E
    CODEC_16 = 0x10
    CODEC_12 = 0x0C
    CODEC_13 = 0x0D
    CODEC_14 = 0x0E
    CODEC_15 = 0x0F

    @property
    def label(self) -> str:
        """The vendor's short name: `8`, `8E`, `16`, `12` …."""
        return "8E" if self is CodecId.CODEC_8_EXTENDED else self.name.removeprefix("CODEC_")


AVL_CODECS = frozenset({CodecId.CODEC_8, CodecId.CODEC_8_EXTENDED, CodecId.CODEC_16})
"""Codecs that carry AVL records and are acknowledged with their count."""
COMMAND_CODECS = frozenset({CodecId.CODEC_12, CodecId.CODEC_13, CodecId.CODEC_14, CodecId.CODEC_15})
"""Codecs that carry commands and their answers, and are never acknowledged with a count."""


class CommandType(IntEnum):
    """The type byte of codecs 12 to 15, as far as the vendor names it; other values occur and are kept."""

    COMMAND = 0x05
    RESPONSE = 0x06
    """Codec 12 and 13: the answer. Codec 14: the answer of the device with the addressed IMEI (ack)."""
    SERIAL = 0x0B
    """Codec 15: bytes that came in over the serial port."""
    PHOTO = 0x0D
    NACK = 0x11
    """Codec 14: the addressed IMEI is not this device's."""


class IoElement(NamedTuple):
    """One input/output element of a record.

    Attributes:
        id: AVL id.
        width: bytes of the value on the wire (1, 2, 4 or 8), or 0 for variable length (codec 8 Extended).
        raw: the unsigned integer on the wire, or the bytes of a variable-length value.
    """

    id: int
    width: int
    raw: int | bytes


class AvlRecord(NamedTuple):
    """One AVL record.

    Attributes:
        timestamp_ms: milliseconds since 1970-01-01T00:00Z by the device's clock, unsigned 64 bits.
        priority: 0 low, 1 high, 2 panic.
        longitude_raw: degrees times ten million, signed 32 bits.
        latitude_raw: degrees times ten million, signed 32 bits.
        altitude_m: metres above sea level, signed 16 bits.
        angle_deg: degrees clockwise from north, unsigned 16 bits.
        satellites: satellites in use; 0 means that there was no fix.
        speed_kph: GNSS speed, unsigned 16 bits.
        event_io_id: the AVL id that caused the record; 0 for a periodic one.
        generation_type: codec 16 only, else None.
        io: the IO elements in wire order (by width: 1, 2, 4, 8, variable).
        body: the record's exact bytes on the wire, the base of its content hash; empty on records that were
            not decoded.
    """

    timestamp_ms: int
    priority: int
    longitude_raw: int
    latitude_raw: int
    altitude_m: int
    angle_deg: int
    satellites: int
    speed_kph: int
    event_io_id: int
    generation_type: int | None = None
    io: tuple[IoElement, ...] = ()
    body: bytes = b""

    @property
    def longitude_deg(self) -> float:
        """Longitude in degrees, east positive; the nearest double to the wire's seven decimals."""
        return self.longitude_raw / DEGREES_PER_UNIT

    @property
    def latitude_deg(self) -> float:
        """Latitude in degrees, north positive; the nearest double to the wire's seven decimals."""
        return self.latitude_raw / DEGREES_PER_UNIT


@dataclass(frozen=True, slots=True)
class AvlPacket:
    """The records of one data field, in wire order: devices often send the newest first."""

    codec: CodecId
    records: tuple[AvlRecord, ...]


@dataclass(frozen=True, slots=True)
class CommandMessage:
    """A command or the answer to one (codecs 12 to 15).

    Attributes:
        codec: which of the four.
        type: the type byte; `CommandType` names the known ones.
        payload: command or answer, usually ASCII text; codec 15 and photos carry any bytes.
        imei: codecs 14 and 15, else None.
        timestamp_s: codecs 13 and 15, seconds since 1970-01-01T00:00Z, else None.
    """

    codec: CodecId
    type: int
    payload: bytes
    imei: str | None = None
    timestamp_s: int | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A device presents itself at the start of a TCP connection."""

    imei: str


@dataclass(frozen=True, slots=True)
class Ping:
    """`count` bytes FF: the device keeps its link open and expects no answer."""

    count: int


@dataclass(frozen=True, slots=True)
class UdpDatagram:
    """A datagram: the ids to echo in its acknowledgement, the device, and what it says."""

    packet_id: int
    avl_packet_id: int
    imei: str
    content: AvlPacket | CommandMessage
