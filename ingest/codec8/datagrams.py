"""What a gateway has to know of a UDP datagram before it may be stored and acknowledged.

STRATEGY: as on TCP (`frames`), the envelope is checked and records are not walked: length, mark, IMEI, codec
and N1 = N2. A datagram is whole or it is not, so nothing is waited for: the outcome is a `Datagram` or a
`DatagramRejected`. There is no checksum; the network's own (RFC 768) has to do.

A rejected datagram whose header can be read tells whom to answer: what nobody can decode is parked and
acknowledged all the same, because a device sends what was not acknowledged for ever.
"""

from dataclasses import dataclass
from typing import Final

from ingest.codec8.errors import FrameError, Reason
from ingest.codec8.frames import (
    MAX_DATA_LENGTH,
    MIN_DATA_LENGTH,
    UDP_HEADER_LENGTH,
    is_imei,
    known_codec,
    open_datagram,
)
from ingest.codec8.records import AVL_CODECS, CodecId
from telematics.imei import IMEI_LENGTH

_DATA_AT: Final = UDP_HEADER_LENGTH + IMEI_LENGTH


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sent a datagram and what its acknowledgement has to echo.

    Attributes:
        packet_id: of the UDP channel; retries keep it.
        avl_packet_id: of the AVL packet; retries keep it, and a device resends for ever on another.
        imei: 15 digits.
        record_count: number of data 1; on commands the quantity, which means nothing.
    """

    packet_id: int
    avl_packet_id: int
    imei: str
    record_count: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram that passed the gateway's checks; its records were not walked."""

    envelope: Envelope
    codec: CodecId

    @property
    def data(self) -> slice:
        """Where the data field stands in the datagram."""
        return slice(_DATA_AT, None)


@dataclass(frozen=True, slots=True)
class DatagramRejected:
    """A datagram that is wrong.

    Attributes:
        reason: the first check that failed.
        detail: a sentence for people.
        envelope: whom to answer; None if the header does not tell.
    """

    reason: Reason
    detail: str
    envelope: Envelope | None


def check_datagram(datagram: bytes, max_data_length: int = MAX_DATA_LENGTH) -> Datagram | DatagramRejected:
    """What a datagram is, without walking its records.

    Args:
        datagram: the whole of it.
        max_data_length: longest data field accepted, in bytes.
    """
    try:
        opened = open_datagram(datagram)
    except FrameError as error:
        return DatagramRejected(error.reason, error.detail, None)
    if opened.imei_length != IMEI_LENGTH or not is_imei(datagram[UDP_HEADER_LENGTH:_DATA_AT]):
        return DatagramRejected(Reason.BAD_IMEI, "an IMEI has exactly 15 digits", None)
    data_length = len(datagram) - _DATA_AT
    if not MIN_DATA_LENGTH <= data_length <= max_data_length:
        detail = (
            f"the data field has {data_length} bytes; {MIN_DATA_LENGTH} to {max_data_length} are possible"
        )
        return DatagramRejected(Reason.BAD_LENGTH, detail, None)
    envelope = Envelope(
        opened.packet_id,
        opened.avl_packet_id,
        datagram[UDP_HEADER_LENGTH:_DATA_AT].decode("ascii"),
        datagram[_DATA_AT + 1],
    )
    if opened.trailing:
        detail = f"{opened.trailing} bytes behind the datagram's declared length"
        return DatagramRejected(Reason.TRAILING_BYTES, detail, envelope)
    codec = known_codec(datagram[_DATA_AT])
    if codec is None:
        detail = f"codec {datagram[_DATA_AT]:02X} is not one of 08, 8E, 10, 0C, 0D, 0E, 0F"
        return DatagramRejected(Reason.UNKNOWN_CODEC, detail, envelope)
    if codec in AVL_CODECS and envelope.record_count != datagram[-1]:
        detail = f"number of data 1 is {envelope.record_count}, number of data 2 is {datagram[-1]}"
        return DatagramRejected(Reason.COUNT_MISMATCH, detail, envelope)
    return Datagram(envelope, codec)
