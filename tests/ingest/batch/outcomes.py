"""What the reference decoder says about a frame, in the words of the batch decoder."""

from ingest.batch.decoder import DecodedFrames
from ingest.batch.layout import Kind, Status
from ingest.codec8.decoding import decode_tcp_frame, decode_udp_datagram
from ingest.codec8.errors import DecodeError, Reason
from ingest.codec8.records import COMMAND_CODECS, AvlPacket, AvlRecord

Outcome = tuple[Status, Reason | None, tuple[AvlRecord, ...]]


def expected_outcome(frame: bytes, kind: Kind, max_data_length: int) -> Outcome:
    if kind is Kind.UDP:
        return _expected_of_datagram(frame)
    try:
        content = decode_tcp_frame(frame, max_data_length)
    except DecodeError as error:
        # from the codec on, a command is the reference decoder's business
        is_opened = list(Reason).index(error.reason) > list(Reason).index(Reason.BAD_CRC)
        is_inside = error.reason is Reason.BAD_LENGTH and error.offset >= 8
        if (is_opened or is_inside) and frame[8] in COMMAND_CODECS:
            return Status.UNDECIDED, None, ()
        return Status[error.reason.name], error.reason, ()
    if isinstance(content, AvlPacket):
        return Status.DECODED, None, content.records
    return Status.UNDECIDED, None, ()


def _expected_of_datagram(frame: bytes) -> Outcome:
    try:
        content = decode_udp_datagram(frame).content
    except DecodeError:
        return Status.UNDECIDED, None, ()
    if isinstance(content, AvlPacket):
        return Status.DECODED, None, content.records
    return Status.UNDECIDED, None, ()


def outcome(decoded: DecodedFrames, frame: int) -> Outcome:
    return decoded.status(frame), decoded.reason(frame), decoded.frame_records(frame)
