"""The AVL packet inside a frame message, however the frame came in."""

from ingest.codec8.decoding import decode_tcp_frame, decode_udp_datagram
from ingest.codec8.records import AvlPacket
from ingest.stream.messages import FrameMessage, Transport
from telematics.errors import PistonError


class NotTelemetryError(PistonError):
    """A message that is in order but holds nothing to store; `reason` and `detail` go to the dead letter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def unpack_avl(frame: FrameMessage) -> AvlPacket:
    """The AVL packet of a frame.

    Raises:
        DecodeError: the frame does not decode.
        NotTelemetryError: it is a command, or a datagram of another device than its key says.
    """
    if frame.transport is Transport.UDP:
        datagram = decode_udp_datagram(frame.frame)
        if datagram.imei != frame.imei:
            reason = "imei_mismatch"
            raise NotTelemetryError(reason, "the datagram names another device than the message's key")
        content = datagram.content
    else:
        # The gateway's limit protects its memory; here the frame is in memory already.
        content = decode_tcp_frame(frame.frame, max_data_length=len(frame.frame))
    if not isinstance(content, AvlPacket):
        reason = "not_avl"
        raise NotTelemetryError(reason, f"codec {content.codec.label} carries no AVL records")
    return content
