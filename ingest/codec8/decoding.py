"""Bytes → values, strictly: what does not fit the protocol raises `DecodeError`, with its first failed check.

STRATEGY: the records of a data field are walked once by their group counts, building values on the way and
noting the first contradiction instead of stopping at it, because which check comes first is fixed (`Reason`)
and the count of records is judged before the inside of each. Every read is bounded by the data field, whose
length the envelope has limited; a walk that leaves it stops there.
"""

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError
from typing import Final

from ingest.codec8.errors import DecodeError, FrameError, PacketError, Reason
from ingest.codec8.frames import (
    HEADER_LENGTH,
    LOGIN_LENGTH,
    MAX_DATA_LENGTH,
    MIN_DATA_LENGTH,
    PING_BYTE,
    UDP_HEADER_LENGTH,
    is_imei,
    known_codec,
    open_datagram,
    open_frame,
)
from ingest.codec8.records import (
    AVL_CODECS,
    AvlPacket,
    AvlRecord,
    CodecId,
    CommandMessage,
    IoElement,
    Login,
    Ping,
    UdpDatagram,
)
from telematics.imei import IMEI_LENGTH

__all__ = [
    "DecodeError",
    "Reason",
    "decode_avl",
    "decode_command",
    "decode_data",
    "decode_tcp_frame",
    "decode_tcp_message",
    "decode_udp_datagram",
]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a codec lays out a record.

    `head` runs from the timestamp to the total of IO elements. Each group is a count and then as many pairs
    of id and value.
    """

    head: Struct
    is_wide: bool
    groups: tuple[tuple[int, Struct], ...]
    has_generation_type: bool
    has_variable_group: bool


def _layout(
    head: str, element_id: str, *, is_wide: bool = False, has_generation_type: bool = False
) -> _Layout:
    groups = tuple(
        (width, Struct(f">{element_id}{code}")) for width, code in zip((1, 2, 4, 8), "BHIQ", strict=True)
    )
    # The GPS element has the longitude before the latitude; altitude is signed, angle and speed are not.
    return _Layout(
        Struct(f">QBiihHBH{head}"), is_wide, groups, has_generation_type, has_variable_group=is_wide
    )


_LAYOUTS: Final = {
    CodecId.CODEC_8: _layout("BB", "B"),
    CodecId.CODEC_8_EXTENDED: _layout("HH", "H", is_wide=True),
    # Codec 16 has two-byte ids, but its total and its counts stay one byte wide.
    CodecId.CODEC_16: _layout("HBB", "H", has_generation_type=True),
}
_VARIABLE: Final = Struct(">HH")
_COMMAND_HEAD: Final = Struct(">BBBI")
_U16: Final = Struct(">H")
_U32: Final = Struct(">I")
_BCD_IMEI_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class _Walk:
    """What walking the records found; `fault_offset` is the first place that contradicts itself."""

    records: tuple[AvlRecord, ...]
    end: int
    is_complete: bool
    fault_offset: int | None
    fault: str


def decode_avl(data: bytes) -> AvlPacket:
    """Decode the data field of an AVL packet.

    Args:
        data: codec id to number of data 2, inclusive.

    Raises:
        PacketError: BAD_LENGTH, UNKNOWN_CODEC, COUNT_MISMATCH, IO_MISMATCH or TRAILING_BYTES.
    """
    return _decode_avl(data, 0)


def _decode_avl(data: bytes, base: int) -> AvlPacket:
    _require_minimum(data, base)
    codec = known_codec(data[0])
    if codec is None or codec not in AVL_CODECS:
        raise PacketError(Reason.UNKNOWN_CODEC, f"codec {data[0]:02X} carries no AVL records", base)
    first, last = data[1], data[-1]
    walk = _walk(data, _LAYOUTS[codec], first)
    number_of_data_2 = data[walk.end] if walk.is_complete and walk.end < len(data) else None
    # Without records in between, any zero byte after N1 looks like an N2: the last byte decides then.
    is_hollow = first == 0 and len(data) > MIN_DATA_LENGTH and last != 0
    if is_hollow or first not in (last, number_of_data_2):
        detail = f"number of data 1 is {first}, number of data 2 is {last}"
        raise PacketError(Reason.COUNT_MISMATCH, detail, base + len(data) - 1)
    if walk.fault_offset is not None:
        raise PacketError(Reason.IO_MISMATCH, walk.fault, base + walk.fault_offset)
    if walk.end != len(data) - 1:
        detail = f"{len(data) - 1 - walk.end} bytes more than {first} records take"
        raise PacketError(Reason.TRAILING_BYTES, detail, base + walk.end)
    return AvlPacket(codec, walk.records)


def _walk(data: bytes, layout: _Layout, count: int) -> _Walk:
    """Build `count` records from byte 2 on; the last byte is number of data 2 and never a record's."""
    limit = len(data) - 1
    is_wide, groups = layout.is_wide, layout.groups
    unpack_head, head_size = layout.head.unpack_from, layout.head.size
    new_tuple = (
        tuple.__new__
    )  # skips the keyword handling of the constructors: a third of the time per record
    records: list[AvlRecord] = []
    offset, start = 2, 2
    fault_offset, fault = None, ""
    try:
        for _ in range(count):
            start = offset
            head = unpack_head(data, offset)
            offset += head_size
            io: list[IoElement] = []
            for width, element in groups:
                if is_wide:
                    group_count = data[offset] << 8 | data[offset + 1]
                    offset += 2
                else:
                    group_count = data[offset]
                    offset += 1
                if group_count:
                    end = offset + group_count * element.size
                    io += [
                        new_tuple(IoElement, (element_id, width, raw))
                        for element_id, raw in element.iter_unpack(data[offset:end])
                    ]
                    offset = end
            if layout.has_variable_group:
                offset = _walk_variable(data, offset, io)
            if offset > limit:
                break
            if len(io) != head[-1] and fault_offset is None:
                fault_offset = start
                fault = f"record {len(records)} announces {head[-1]} IO elements, its groups hold {len(io)}"
            generation_type = head[9] if layout.has_generation_type else None
            records.append(new_tuple(AvlRecord, (*head[:9], generation_type, tuple(io), data[start:offset])))
    except (IndexError, StructError):
        # Both mean that a read left the data field; so does a record that ends behind `limit`.
        offset = limit + 1
    if offset > limit:
        detail = f"record {len(records)} does not fit in the data field"
        return _Walk((), offset, False, start if fault_offset is None else fault_offset, fault or detail)
    return _Walk(tuple(records), offset, True, fault_offset, fault)


def _walk_variable(data: bytes, offset: int, io: list[IoElement]) -> int:
    """Read the group of variable-length elements (codec 8 Extended); a length of 0 does occur."""
    (count,) = _U16.unpack_from(data, offset)
    offset += 2
    for _ in range(count):
        element_id, length = _VARIABLE.unpack_from(data, offset)
        offset += _VARIABLE.size
        io.append(IoElement(element_id, 0, data[offset : offset + length]))
        offset += length
    return offset


def decode_command(data: bytes) -> CommandMessage:
    """Decode the data field of a command message (codecs 12 to 15).

    The size field delimits the payload. The two quantities are read over: devices send 0 in them (codec 12's
    empty ping) or numbers that do not agree.

    Args:
        data: codec id to quantity 2, inclusive.

    Raises:
        PacketError: UNKNOWN_CODEC, BAD_LENGTH, TRAILING_BYTES or BAD_IMEI, checked in this order.
    """
    return _decode_command(data, 0)


def _decode_command(data: bytes, base: int) -> CommandMessage:
    _require_minimum(data, base)
    codec = known_codec(data[0])
    if codec is None or codec in AVL_CODECS:
        raise PacketError(Reason.UNKNOWN_CODEC, f"codec {data[0]:02X} carries no commands", base)
    head_size = _COMMAND_HEAD.size
    if len(data) < head_size + 1:
        raise PacketError(Reason.BAD_LENGTH, f"{len(data)} bytes are too few for a command", base)
    _, _, kind, size = _COMMAND_HEAD.unpack_from(data)
    end = head_size + size
    if end > len(data) - 1:
        detail = f"the size field says {size}, {len(data) - 1 - head_size} bytes are there"
        raise PacketError(Reason.BAD_LENGTH, detail, base + 3)
    has_timestamp = codec in (CodecId.CODEC_13, CodecId.CODEC_15)
    has_imei = codec in (CodecId.CODEC_14, CodecId.CODEC_15)
    prefix = _U32.size * has_timestamp + _BCD_IMEI_LENGTH * has_imei
    if size < prefix:
        detail = f"the size field says {size}, time and IMEI alone take {prefix}"
        raise PacketError(Reason.BAD_LENGTH, detail, base + 3)
    if end < len(data) - 1:
        detail = f"{len(data) - 1 - end} bytes more than the size field says"
        raise PacketError(Reason.TRAILING_BYTES, detail, base + end)
    offset, timestamp_s, imei = head_size, None, None
    if has_timestamp:
        (timestamp_s,) = _U32.unpack_from(data, offset)
        offset += _U32.size
    if has_imei:
        imei = _decode_bcd_imei(data[offset : offset + _BCD_IMEI_LENGTH], base + offset)
        offset += _BCD_IMEI_LENGTH
    return CommandMessage(codec, kind, data[offset:end], imei, timestamp_s)


def _decode_bcd_imei(packed: bytes, offset: int) -> str:
    """The IMEI from sixteen decimal nibbles, of which the first is 0."""
    digits = packed.hex()
    if digits[0] != "0" or not is_imei(digits[1:].encode("ascii")):
        raise PacketError(Reason.BAD_IMEI, "the IMEI is not fifteen decimal nibbles behind a zero", offset)
    return digits[1:]


def decode_data(data: bytes) -> AvlPacket | CommandMessage:
    """Decode a data field of any known codec.

    Raises:
        PacketError: any reason from UNKNOWN_CODEC on, or BAD_LENGTH inside a command.
    """
    return _decode_data(data, 0)


def _decode_data(data: bytes, base: int) -> AvlPacket | CommandMessage:
    _require_minimum(data, base)
    codec = known_codec(data[0])
    if codec is None:
        detail = f"codec {data[0]:02X} is not one of 08, 8E, 10, 0C, 0D, 0E, 0F"
        raise PacketError(Reason.UNKNOWN_CODEC, detail, base)
    return _decode_avl(data, base) if codec in AVL_CODECS else _decode_command(data, base)


def _require_minimum(data: bytes, base: int) -> None:
    if len(data) < MIN_DATA_LENGTH:
        detail = f"a data field has {MIN_DATA_LENGTH} bytes at least, here are {len(data)}"
        raise PacketError(Reason.BAD_LENGTH, detail, base)


def decode_tcp_frame(frame: bytes, max_data_length: int = MAX_DATA_LENGTH) -> AvlPacket | CommandMessage:
    """Decode one whole TCP frame, preamble to checksum.

    Raises:
        DecodeError: any reason, checked in the order of `Reason`.
    """
    opened = open_frame(frame, max_data_length)
    content = _decode_data(opened.data, HEADER_LENGTH)
    if opened.trailing:
        detail = f"{opened.trailing} bytes behind the checksum"
        raise FrameError(Reason.TRAILING_BYTES, detail, len(frame) - opened.trailing)
    return content


def decode_tcp_message(message: bytes) -> Ping | Login | AvlPacket | CommandMessage:
    """Decode whatever one message on a TCP connection may be; pings in front of it are skipped.

    A message is a login when it starts with the length 15, or when its first two bytes are exactly the length
    of the printable text behind them: devices with a wrong IMEI are told so, not that their preamble is bad.

    Raises:
        DecodeError: any reason, checked in the order of `Reason`.
    """
    body = message.lstrip(bytes([PING_BYTE]))
    if message and not body:
        return Ping(len(message))
    skipped = len(message) - len(body)
    if len(body) >= _U16.size:
        (length,) = _U16.unpack_from(body)
        text = body[_U16.size :]
        is_text = length > 0 and length == len(text) and text.isascii() and text.decode("ascii").isprintable()
        if length == IMEI_LENGTH or is_text:
            return _decode_login(body, skipped)
    try:
        return decode_tcp_frame(body)
    except DecodeError as error:
        raise type(error)(error.reason, error.detail, error.offset + skipped) from None


def _decode_login(body: bytes, base: int) -> Login:
    (length,) = _U16.unpack_from(body)
    end = _U16.size + length
    if len(body) < end:
        detail = f"a login has {LOGIN_LENGTH} bytes, {len(body)} are there"
        raise FrameError(Reason.TRUNCATED, detail, base + len(body))
    if len(body) > end:
        raise FrameError(Reason.TRAILING_BYTES, f"{len(body) - end} bytes behind the login", base + end)
    digits = body[_U16.size :]
    if not is_imei(digits):
        raise PacketError(Reason.BAD_IMEI, "an IMEI has exactly 15 digits", base + _U16.size)
    return Login(digits.decode("ascii"))


def decode_udp_datagram(datagram: bytes) -> UdpDatagram:
    """Decode one UDP datagram.

    An IMEI of a wrong length is judged last, so the data is looked for where the datagram says that the IMEI
    ends and, if nothing can be read there, where an IMEI of 15 digits would end.

    Raises:
        DecodeError: any reason but BAD_CRC (there is none on UDP), checked in the order of `Reason`. With
            bytes behind the declared length: TRAILING_BYTES if the declared part decodes, else BAD_LENGTH.
    """
    opened = open_datagram(datagram)
    declared = datagram[: opened.end]
    try:
        content, imei = _decode_datagram_content(declared, opened.imei_length)
    except DecodeError as error:
        if not opened.trailing:
            raise
        detail = (
            f"{opened.trailing} bytes more than the length field says, and the declared part does not decode"
        )
        raise FrameError(Reason.BAD_LENGTH, detail) from error
    if opened.trailing:
        detail = f"{opened.trailing} bytes behind the datagram's declared length"
        raise FrameError(Reason.TRAILING_BYTES, detail, opened.end)
    if opened.imei_length != IMEI_LENGTH or not is_imei(imei):
        raise PacketError(Reason.BAD_IMEI, "an IMEI has exactly 15 digits", UDP_HEADER_LENGTH)
    return UdpDatagram(opened.packet_id, opened.avl_packet_id, imei.decode("ascii"), content)


def _decode_datagram_content(declared: bytes, imei_length: int) -> tuple[AvlPacket | CommandMessage, bytes]:
    """The content and the IMEI's bytes, whatever length the IMEI has."""
    usual, said = UDP_HEADER_LENGTH + IMEI_LENGTH, UDP_HEADER_LENGTH + imei_length
    if said == usual or said + MIN_DATA_LENGTH > len(declared):
        return _decode_data(declared[usual:], usual), declared[UDP_HEADER_LENGTH:usual]
    try:
        return _decode_data(declared[said:], said), declared[UDP_HEADER_LENGTH:said]
    except DecodeError as error:
        try:
            return _decode_data(declared[usual:], usual), declared[UDP_HEADER_LENGTH:usual]
        except DecodeError:
            raise error from None
