"""The envelopes around a data field, and how to find the next one in a stream.

TCP    00000000 | u32 L | data[L] | u32 CRC          L counts codec id … number of data 2
UDP    u16 length | u16 packet id | u8 01 | u8 AVL packet id | u16 15 | IMEI | data
login  u16 15 | IMEI                                 once, first thing on a TCP connection
ping   FF                                            anywhere between the others on TCP; no answer

All integers are big-endian. STRATEGY: a `delimit_…` function looks at the head of a stream and returns one of
four outcomes, never an exception: `NEED_MORE`; the thing itself; `Rejected`, a delimited frame that is wrong,
so that reading goes on behind it; `FramingLost`, when where the next frame begins is unknowable and the
connection has to end (there is no marker to resynchronise on: the preamble, four zero bytes, is frequent
inside records). An `open_…` function takes a thing that is said to be whole and raises `FrameError`.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from fastcrc import crc16 as fast

from ingest.codec8.errors import FrameError, Reason
from ingest.codec8.records import AVL_CODECS, CodecId
from telematics.imei import IMEI_LENGTH, is_well_formed

PREAMBLE: Final = bytes(4)
HEADER_LENGTH: Final = 8
"""Preamble and length field."""
CRC_LENGTH: Final = 4
FRAME_OVERHEAD: Final = HEADER_LENGTH + CRC_LENGTH

MIN_DATA_LENGTH: Final = 3
"""Codec id, number of data 1, number of data 2: a packet without records. Devices do not send one, but the
form allows it, and only less than this cannot be read at all."""
MAX_DATA_LENGTH: Final = 65_536
"""A bound on memory for each connection, not on devices. The vendor states 1,280 bytes a packet (512 on
FMB630 and FM63xx); frames of 2,079 bytes are on record (codec 12 photos), and 64 KiB leaves room for every
packet seen while 20,000 connections that all fill it stay near 1.3 GB."""

PING_BYTE: Final = 0xFF
LOGIN_LENGTH: Final = 2 + IMEI_LENGTH
LOGIN_ACCEPTED: Final = b"\x01"
LOGIN_REFUSED: Final = b"\x00"
ACKNOWLEDGEMENT_LENGTH: Final = 4

UDP_LENGTH_FIELD: Final = 2
UDP_HEADER_LENGTH: Final = 8
"""Length, packet id, the byte 01, AVL packet id, length of the IMEI."""
UDP_MARK_OFFSET: Final = 4
UDP_MARK: Final = 0x01
"""The vendor's "not usable byte"."""
MIN_DATAGRAM_LENGTH: Final = UDP_HEADER_LENGTH + IMEI_LENGTH + MIN_DATA_LENGTH

_U16: Final = Struct(">H")
_U32: Final = Struct(">I")
_HEAD: Final = Struct(">IIBB")
"""Preamble, length, codec id, number of data 1."""
_TAIL: Final = Struct(">BI")
"""Number of data 2, checksum."""
_TAIL_LENGTH: Final = _TAIL.size
_arc: Final = fast.arc
_SHORTEST: Final = MIN_DATA_LENGTH + FRAME_OVERHEAD


def crc16(data: bytes) -> int:
    """CRC-16/ARC (the vendor says CRC-16/IBM): polynomial 8005 reflected, start 0, no final exclusive or.

    The check value for the ASCII digits 1 to 9 is BB3D.
    """
    checksum: int = _arc(data)
    return checksum


@dataclass(frozen=True, slots=True)
class NeedMore:
    """The head of the stream may become any of the other outcomes; nothing was consumed."""


NEED_MORE: Final = NeedMore()


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that passed the gateway's checks: preamble, length, checksum, codec, and N1 = N2 on AVL codecs.

    Its records were not walked.

    Attributes:
        wire: the whole frame, preamble to checksum.
        codec: what the data field is.
        record_count: number of data 1; on commands the quantity, which means nothing.
    """

    wire: bytes
    codec: CodecId
    record_count: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that its length field delimits and that is wrong; reading goes on behind it.

    Attributes:
        reason: BAD_CRC, UNKNOWN_CODEC or COUNT_MISMATCH.
        wire: the whole frame.
        detail: a sentence for people.
    """

    reason: Reason
    wire: bytes
    detail: str


@dataclass(frozen=True, slots=True)
class FramingLost:
    """Where the next frame begins cannot be known: the connection has to be closed.

    Attributes:
        reason: BAD_PREAMBLE, BAD_LENGTH, BAD_IMEI (at the login) or TRUNCATED (the peer hung up midway).
        detail: a sentence for people.
    """

    reason: Reason
    detail: str


def delimit_frame(
    stream: bytes | bytearray, max_data_length: int = MAX_DATA_LENGTH
) -> NeedMore | Frame | Rejected | FramingLost:
    """What the head of a logged-in stream is.

    Wrong bytes are told at the first one, so that a peer talking another protocol is not waited for.
    """
    preamble = stream[: len(PREAMBLE)]
    if any(preamble):
        return FramingLost(Reason.BAD_PREAMBLE, "a frame starts with four zero bytes")
    if len(stream) < HEADER_LENGTH:
        return NEED_MORE
    (data_length,) = _U32.unpack_from(stream, len(PREAMBLE))
    if not MIN_DATA_LENGTH <= data_length <= max_data_length:
        return FramingLost(Reason.BAD_LENGTH, _length_detail(data_length, max_data_length))
    end = data_length + FRAME_OVERHEAD
    if len(stream) < end:
        return NEED_MORE
    wire = bytes(stream[:end])
    (checksum,) = _U32.unpack_from(wire, end - CRC_LENGTH)
    computed = crc16(wire[HEADER_LENGTH : end - CRC_LENGTH])
    if checksum != computed:
        return Rejected(Reason.BAD_CRC, wire, _crc_detail(checksum, computed))
    codec = known_codec(wire[HEADER_LENGTH])
    if codec is None:
        return Rejected(Reason.UNKNOWN_CODEC, wire, _codec_detail(wire[HEADER_LENGTH]))
    first, second = wire[HEADER_LENGTH + 1], wire[end - CRC_LENGTH - 1]
    if codec in AVL_CODECS and first != second:
        detail = f"number of data 1 is {first}, number of data 2 is {second}"
        return Rejected(Reason.COUNT_MISMATCH, wire, detail)
    return Frame(wire, codec, first)


def whole_avl_frame(received: bytes, max_data_length: int = MAX_DATA_LENGTH) -> tuple[CodecId, int] | None:
    """Codec and number of data 1 if the bytes are one AVL frame, no more and no less, that passes the checks.

    The shortcut for what nearly every read brings; None says nothing but that `delimit_frame` has to look.
    It costs a quarter of that.
    """
    size = len(received)
    if size < _SHORTEST or size > max_data_length + FRAME_OVERHEAD:
        return None
    preamble, data_length, codec, first = _HEAD.unpack_from(received)
    second, checksum = _TAIL.unpack_from(received, size - _TAIL_LENGTH)
    if (
        preamble
        or data_length + FRAME_OVERHEAD != size
        or first != second
        or codec not in _AVL_CODECS
        or checksum != _arc(received[HEADER_LENGTH:-CRC_LENGTH])
    ):
        return None
    return _AVL_CODECS[codec], first


def delimit_login(stream: bytes | bytearray) -> NeedMore | str | FramingLost:
    """The IMEI that the head of a fresh stream presents, or another outcome.

    Anything but a login of exactly 15 digits loses the framing: without an IMEI no frame has an owner.
    """
    if len(stream) < 2:
        if stream and stream[0]:
            return FramingLost(Reason.BAD_IMEI, "a login starts with the bytes 00 0F")
        return NEED_MORE
    (length,) = _U16.unpack_from(stream)
    if length != IMEI_LENGTH:
        return FramingLost(Reason.BAD_IMEI, f"a login starts with the length {IMEI_LENGTH}, not {length}")
    digits = bytes(stream[2:LOGIN_LENGTH])
    if digits and not digits.isdigit():
        return FramingLost(Reason.BAD_IMEI, "an IMEI has digits only")
    if len(stream) < LOGIN_LENGTH:
        return NEED_MORE
    return digits.decode("ascii")


def known_codec(byte: int) -> CodecId | None:
    """The codec that a data field's first byte names, or None."""
    return _CODECS.get(byte)


_CODECS: Final = {int(codec): codec for codec in CodecId}
_AVL_CODECS: Final = {int(codec): codec for codec in AVL_CODECS}


@dataclass(frozen=True, slots=True)
class OpenedFrame:
    """The data field of a TCP frame whose checksum is right, and how many bytes lie behind the frame."""

    data: bytes
    trailing: int


def open_frame(frame: bytes, max_data_length: int = MAX_DATA_LENGTH) -> OpenedFrame:
    """Check the envelope of a TCP frame that is said to be whole.

    Args:
        frame: preamble to checksum.
        max_data_length: longest data field accepted, in bytes.

    Raises:
        FrameError: TRUNCATED, BAD_PREAMBLE, BAD_LENGTH or BAD_CRC, checked in this order. Bytes behind the
            frame are only counted when the checksum at the declared place is right; otherwise it is the
            length field that lies.
    """
    size = len(frame)
    if size < FRAME_OVERHEAD:
        raise FrameError(Reason.TRUNCATED, f"{size} bytes are less than the shortest frame", size)
    (data_length,) = _U32.unpack_from(frame, len(PREAMBLE))
    end = data_length + FRAME_OVERHEAD
    if size < end:
        raise FrameError(Reason.TRUNCATED, f"the length field asks for {end} bytes, {size} are there", size)
    if not frame.startswith(PREAMBLE):
        raise FrameError(Reason.BAD_PREAMBLE, "a frame starts with four zero bytes")
    if not MIN_DATA_LENGTH <= data_length <= max_data_length:
        raise FrameError(Reason.BAD_LENGTH, _length_detail(data_length, max_data_length), len(PREAMBLE))
    data = bytes(frame[HEADER_LENGTH : end - CRC_LENGTH])
    (checksum,) = _U32.unpack_from(frame, end - CRC_LENGTH)
    computed = crc16(data)
    if checksum != computed:
        if size > end:
            detail = f"{size - end} bytes more than the length field says, and no checksum where it points"
            raise FrameError(Reason.BAD_LENGTH, detail, len(PREAMBLE))
        raise FrameError(Reason.BAD_CRC, _crc_detail(checksum, computed), end - CRC_LENGTH)
    return OpenedFrame(data, size - end)


@dataclass(frozen=True, slots=True)
class OpenedDatagram:
    """The header of a UDP datagram; what it carries is not looked at.

    Attributes:
        packet_id: to be echoed in the acknowledgement.
        avl_packet_id: to be echoed in the acknowledgement.
        imei_length: as the datagram says; anything but 15 is wrong.
        end: where the part that the length field declares ends.
        trailing: bytes behind that.
    """

    packet_id: int
    avl_packet_id: int
    imei_length: int
    end: int
    trailing: int


_UDP_HEADER: Final = Struct(">HHBBH")


def open_datagram(datagram: bytes) -> OpenedDatagram:
    """Check the header of a UDP datagram.

    Raises:
        FrameError: TRUNCATED, BAD_PREAMBLE (the byte 01) or BAD_LENGTH, checked in this order.
    """
    size = len(datagram)
    if size < UDP_LENGTH_FIELD:
        raise FrameError(Reason.TRUNCATED, f"{size} bytes hold no length field", size)
    (length,) = _U16.unpack_from(datagram)
    end = UDP_LENGTH_FIELD + length
    if size < end:
        raise FrameError(Reason.TRUNCATED, f"the length field asks for {end} bytes, {size} are there", size)
    if size > UDP_MARK_OFFSET and datagram[UDP_MARK_OFFSET] != UDP_MARK:
        raise FrameError(Reason.BAD_PREAMBLE, "the fifth byte of a datagram is 01", UDP_MARK_OFFSET)
    if end < MIN_DATAGRAM_LENGTH:
        detail = f"{end} bytes cannot hold a header, an IMEI and data: {MIN_DATAGRAM_LENGTH} can"
        raise FrameError(Reason.BAD_LENGTH, detail)
    _, packet_id, _, avl_packet_id, imei_length = _UDP_HEADER.unpack_from(datagram)
    return OpenedDatagram(packet_id, avl_packet_id, imei_length, end, size - end)


def is_imei(digits: bytes) -> bool:
    """Whether the bytes are exactly 15 ASCII digits."""
    return is_well_formed(digits.decode("latin-1"))


def _length_detail(data_length: int, max_data_length: int) -> str:
    return f"the length field says {data_length}; {MIN_DATA_LENGTH} to {max_data_length} are possible"


def _crc_detail(checksum: int, computed: int) -> str:
    return f"the checksum field says {checksum:08X}, the data has {computed:08X}"


def _codec_detail(byte: int) -> str:
    return f"codec {byte:02X} is not one of 08, 8E, 10, 0C, 0D, 0E, 0F"
