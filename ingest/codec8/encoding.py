"""Values → bytes: what a device sends (records, packets, login) and what a server answers.

Whatever this encodes, `decoding` accepts and gives back; an AVL packet that was decoded encodes to the same
bytes. A value that does not fit in its field raises `EncodeError`: nothing is cut or wrapped around.
"""

from collections.abc import Sequence
from struct import Struct
from struct import error as StructError
from typing import Final

from ingest.codec8.errors import EncodeError
from ingest.codec8.frames import (
    LOGIN_ACCEPTED,
    LOGIN_REFUSED,
    PREAMBLE,
    UDP_LENGTH_FIELD,
    UDP_MARK,
    crc16,
    is_imei,
)
from ingest.codec8.records import (
    AVL_CODECS,
    AvlPacket,
    AvlRecord,
    CodecId,
    CommandMessage,
    CommandType,
    IoElement,
    UdpDatagram,
)
from telematics.imei import IMEI_LENGTH

__all__ = [
    "LOGIN_ACCEPTED",
    "LOGIN_REFUSED",
    "EncodeError",
    "encode_avl",
    "encode_command",
    "encode_command_frame",
    "encode_login",
    "encode_record",
    "encode_tcp_acknowledgement",
    "encode_tcp_frame",
    "encode_udp_acknowledgement",
    "encode_udp_datagram",
    "join_records",
    "wrap_tcp",
    "wrap_udp",
]

MAX_RECORDS: Final = 255
"""Number of data is one byte."""

_RECORD_HEAD: Final = {
    CodecId.CODEC_8: Struct(">QBiihHBHBB"),
    CodecId.CODEC_8_EXTENDED: Struct(">QBiihHBHHH"),
    CodecId.CODEC_16: Struct(">QBiihHBHHBB"),
}
_ELEMENT_ID: Final = {CodecId.CODEC_8: "B", CodecId.CODEC_8_EXTENDED: "H", CodecId.CODEC_16: "H"}
_COUNT: Final = {CodecId.CODEC_8: "B", CodecId.CODEC_8_EXTENDED: "H", CodecId.CODEC_16: "B"}
_VALUE: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
_ELEMENTS: Final = {
    (codec, width): Struct(f">{id_code}{value_code}")
    for codec, id_code in _ELEMENT_ID.items()
    for width, value_code in _VALUE.items()
}
_COUNTS: Final = {codec: Struct(f">{code}") for codec, code in _COUNT.items()}
_VARIABLE: Final = Struct(">HH")
_COMMAND_HEAD: Final = Struct(">BBBI")
_U16: Final = Struct(">H")
_U32: Final = Struct(">I")
_UDP_HEADER: Final = Struct(">HHBBH")
_UDP_ACKNOWLEDGEMENT: Final = Struct(">HHBBB")


def encode_record(record: AvlRecord, codec: CodecId) -> bytes:
    """One record's bytes; IO elements are grouped by width, in the order given within each width.

    Raises:
        EncodeError: a value does not fit, an element's width does not exist in the codec, or a generation
            type is missing (codec 16) or too much (the others).
    """
    _require_avl(codec)
    if (record.generation_type is not None) != (codec is CodecId.CODEC_16):
        message = "records of codec 16 have a generation type, those of codecs 8 and 8 Extended have none"
        raise EncodeError(message)
    groups: dict[int, list[IoElement]] = {1: [], 2: [], 4: [], 8: []}
    if codec is CodecId.CODEC_8_EXTENDED:
        groups[0] = []
    for element in record.io:
        if element.width not in groups:
            message = f"AVL id {element.id}: codec {codec.label} has no elements of width {element.width}"
            raise EncodeError(message)
        groups[element.width].append(element)
    generation_type = () if record.generation_type is None else (record.generation_type,)
    head = (*record[:9], *generation_type, len(record.io))
    try:
        parts = [_RECORD_HEAD[codec].pack(*head)]
        for width, elements in groups.items():
            parts.append(_COUNTS[codec].pack(len(elements)))
            if width:
                pack = _ELEMENTS[codec, width].pack
                parts.extend(pack(element.id, element.raw) for element in elements)
            else:
                parts.extend(_variable(element) for element in elements)
    except StructError as error:
        message = f"a record's value does not fit in codec {codec.label}: {error}"
        raise EncodeError(message) from error
    return b"".join(parts)


def _variable(element: IoElement) -> bytes:
    if not isinstance(element.raw, bytes):
        message = f"AVL id {element.id}: an element of variable length has bytes, not a number"
        raise EncodeError(message)
    return _VARIABLE.pack(element.id, len(element.raw)) + element.raw


def join_records(codec: CodecId, bodies: Sequence[bytes]) -> bytes:
    """The data field of encoded records: codec id, their number, the records, their number.

    Senders that fill packets up to a size encode each record once and join as many as fit.

    Raises:
        EncodeError: more than 255 records, or a codec that carries none.
    """
    _require_avl(codec)
    if len(bodies) > MAX_RECORDS:
        message = f"{len(bodies)} records do not fit in one packet: {MAX_RECORDS} do"
        raise EncodeError(message)
    count = bytes([len(bodies)])
    return b"".join([bytes([codec]), count, *bodies, count])


def encode_avl(packet: AvlPacket) -> bytes:
    """The data field of a packet, codec id to number of data 2.

    Raises:
        EncodeError: see `encode_record` and `join_records`.
    """
    return join_records(packet.codec, [encode_record(record, packet.codec) for record in packet.records])


def encode_command(message: CommandMessage) -> bytes:
    """The data field of a command message, codec id to quantity 2; both quantities are 1.

    Raises:
        EncodeError: a value does not fit, or the time or the IMEI is missing or too much for the codec.
    """
    codec = message.codec
    if codec in AVL_CODECS:
        problem = f"codec {codec.label} carries no commands"
        raise EncodeError(problem)
    has_timestamp = codec in (CodecId.CODEC_13, CodecId.CODEC_15)
    has_imei = codec in (CodecId.CODEC_14, CodecId.CODEC_15)
    if (message.timestamp_s is not None) != has_timestamp or (message.imei is not None) != has_imei:
        problem = f"codec {codec.label}: a time belongs to codecs 13 and 15, an IMEI to codecs 14 and 15"
        raise EncodeError(problem)
    try:
        stamp = b"" if message.timestamp_s is None else _U32.pack(message.timestamp_s)
        imei = (
            b"" if message.imei is None else bytes.fromhex("0" + _imei_digits(message.imei).decode("ascii"))
        )
        inner = stamp + imei + message.payload
        return _COMMAND_HEAD.pack(codec, 1, message.type, len(inner)) + inner + b"\x01"
    except StructError as error:
        problem = f"a command's value does not fit: {error}"
        raise EncodeError(problem) from error


def wrap_tcp(data: bytes) -> bytes:
    """The TCP frame around a data field."""
    return PREAMBLE + _U32.pack(len(data)) + data + _U32.pack(crc16(data))


def wrap_udp(data: bytes, *, packet_id: int, avl_packet_id: int, imei: str) -> bytes:
    """The UDP datagram around a data field.

    Raises:
        EncodeError: an id does not fit, the IMEI is not 15 digits, or the data is too long for a datagram.
    """
    digits = _imei_digits(imei)
    length = _UDP_HEADER.size - UDP_LENGTH_FIELD + len(digits) + len(data)
    try:
        header = _UDP_HEADER.pack(length, packet_id, UDP_MARK, avl_packet_id, IMEI_LENGTH)
    except StructError as error:
        message = f"a datagram's header does not hold the value: {error}"
        raise EncodeError(message) from error
    return header + digits + data


def encode_tcp_frame(content: AvlPacket | CommandMessage) -> bytes:
    """The whole TCP frame of a packet or a command message.

    Raises:
        EncodeError: see `encode_avl` and `encode_command`.
    """
    return wrap_tcp(_encode_data(content))


def encode_udp_datagram(datagram: UdpDatagram) -> bytes:
    """The whole datagram.

    Raises:
        EncodeError: see `encode_avl`, `encode_command` and `wrap_udp`.
    """
    return wrap_udp(
        _encode_data(datagram.content),
        packet_id=datagram.packet_id,
        avl_packet_id=datagram.avl_packet_id,
        imei=datagram.imei,
    )


def encode_command_frame(text: str, *, imei: str | None = None) -> bytes:
    """The TCP frame of a command from server to device: codec 12, or codec 14 when an IMEI is given.

    Raises:
        EncodeError: the text is not ASCII, or the IMEI is not 15 digits.
    """
    if not text.isascii():
        message = "a command is ASCII text"
        raise EncodeError(message)
    codec = CodecId.CODEC_12 if imei is None else CodecId.CODEC_14
    return encode_tcp_frame(CommandMessage(codec, CommandType.COMMAND, text.encode("ascii"), imei))


def encode_login(imei: str) -> bytes:
    """What a device sends first on TCP.

    Raises:
        EncodeError: the IMEI is not 15 digits.
    """
    return _U16.pack(IMEI_LENGTH) + _imei_digits(imei)


def encode_tcp_acknowledgement(count: int) -> bytes:
    """Four bytes: how many records the server took. Never an answer to codecs 12 to 15.

    Raises:
        EncodeError: the count is not 0 to 255.
    """
    return _U32.pack(_record_count(count))


def encode_udp_acknowledgement(packet_id: int, avl_packet_id: int, count: int) -> bytes:
    """Seven bytes that echo the datagram's ids; a device resends for ever when the AVL packet id is not its.

    Raises:
        EncodeError: an id or the count does not fit.
    """
    try:
        return _UDP_ACKNOWLEDGEMENT.pack(
            _UDP_ACKNOWLEDGEMENT.size - UDP_LENGTH_FIELD,
            packet_id,
            UDP_MARK,
            avl_packet_id,
            _record_count(count),
        )
    except StructError as error:
        message = f"an acknowledgement does not hold the value: {error}"
        raise EncodeError(message) from error


def _encode_data(content: AvlPacket | CommandMessage) -> bytes:
    return encode_avl(content) if isinstance(content, AvlPacket) else encode_command(content)


def _record_count(count: int) -> int:
    if not 0 <= count <= MAX_RECORDS:
        message = f"a packet holds 0 to {MAX_RECORDS} records, not {count}"
        raise EncodeError(message)
    return count


def _imei_digits(imei: str) -> bytes:
    digits = imei.encode("utf-8")
    if not is_imei(digits):
        message = "an IMEI has exactly 15 digits (3GPP TS 23.003)"
        raise EncodeError(message)
    return digits


def _require_avl(codec: CodecId) -> None:
    if codec not in AVL_CODECS:
        message = f"codec {codec.label} carries no AVL records"
        raise EncodeError(message)
