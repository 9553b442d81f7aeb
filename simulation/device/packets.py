"""Records → packets: as many records as a tracker puts in one frame.

The vendor states at most 1,280 bytes a packet; here that is the whole TCP frame, preamble to checksum, so it
holds under either reading of "packet".
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ingest.codec8.encoding import MAX_RECORDS, wrap_tcp
from ingest.codec8.frames import FRAME_OVERHEAD
from ingest.codec8.records import CodecId
from simulation.device.records import RecordBlock
from telematics.errors import PistonError

MAX_PACKET_BYTES: Final = 1280
_DATA_OVERHEAD: Final = 3
"""Codec id, number of data 1, number of data 2."""
_CODEC: Final = bytes([CodecId.CODEC_8_EXTENDED])


class RecordTooLongError(PistonError):
    """One record alone is longer than a packet may be."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One TCP frame and how many records it carries."""

    frame: bytes
    count: int


class PacketBuilder:
    """Cuts a block's records into packets, in order."""

    def __init__(self, block: RecordBlock, max_bytes: int = MAX_PACKET_BYTES) -> None:
        self._bodies = block.bodies
        self._starts: Sequence[int] = block.starts.tolist()
        self._room = max_bytes - FRAME_OVERHEAD - _DATA_OVERHEAD

    def build(self, first: int, until: int) -> Packet:
        """The fullest packet of records `first`, `first + 1`, … below `until`.

        Raises:
            RecordTooLongError: record `first` alone does not fit.
        """
        start = self._starts[first]
        end = bisect_right(self._starts, start + self._room, first, until + 1) - 1
        count = min(end - first, MAX_RECORDS)
        if count < 1:
            message = f"a record of {self._starts[first + 1] - start} bytes does not fit in one packet"
            raise RecordTooLongError(message)
        number = bytes([count])
        bodies = self._bodies[start : self._starts[first + count]]
        return Packet(wrap_tcp(b"".join((_CODEC, number, bodies, number))), count)
