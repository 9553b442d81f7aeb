"""`BatchDecoder`: frames in, columns and one status per frame out.

The arrays of a batch are the decoder's own and are used again: what a batch returned holds until the next
one. Call it with hundreds of frames: the call itself costs as much as some twenty records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from ingest.batch.compiling import Bytes
from ingest.batch.layout import ELEMENT, REASONS, RECORD, Column, Elements, Kind, Records, Status
from ingest.batch.walking import MIN_ELEMENT_LENGTH, MIN_RECORD_LENGTH, compile_walk
from ingest.codec8.errors import Reason
from ingest.codec8.frames import MAX_DATA_LENGTH
from ingest.codec8.records import AvlRecord, IoElement

NO_LIMIT: Final = 2**32
"""A longest data field that no length field exceeds."""

_walk = cache(compile_walk)


@dataclass(frozen=True, slots=True)
class DecodedFrames:
    """The columns of a batch of frames; valid until the decoder's next batch.

    Attributes:
        data: all frames end to end.
        statuses: one `Status` per frame, as a byte.
        record_bounds: of frame n the records `record_bounds[n]` (included) to `record_bounds[n + 1]`.
        records: entries of `layout.RECORD`, of decoded frames only, in order.
        elements: entries of `layout.ELEMENT`, in wire order.
    """

    data: Bytes
    statuses: Column
    record_bounds: Column
    records: Records
    elements: Elements

    def status(self, frame: int) -> Status:
        """What became of a frame."""
        return Status(self.statuses[frame])

    def reason(self, frame: int) -> Reason | None:
        """Why a frame was refused; None if it was not, or if the reference decoder has to say."""
        return REASONS.get(self.status(frame))

    def record(self, number: int) -> AvlRecord:
        """One record as the value that the reference decoder makes of it."""
        entry: Any = self.records[number]
        generation_type = int(entry["generation_type"])
        return AvlRecord(
            timestamp_ms=int(entry["timestamp_ms"]),
            priority=int(entry["priority"]),
            longitude_raw=int(entry["longitude_raw"]),
            latitude_raw=int(entry["latitude_raw"]),
            altitude_m=int(entry["altitude_m"]),
            angle_deg=int(entry["angle_deg"]),
            satellites=int(entry["satellites"]),
            speed_kph=int(entry["speed_kph"]),
            event_io_id=int(entry["event_io_id"]),
            generation_type=None if generation_type < 0 else generation_type,
            io=tuple(self._element(place) for place in range(entry["element_start"], entry["element_end"])),
            body=self.data[entry["body_start"] : entry["body_end"]].tobytes(),
        )

    def frame_records(self, frame: int) -> tuple[AvlRecord, ...]:
        """The records of a decoded frame."""
        return tuple(map(self.record, range(self.record_bounds[frame], self.record_bounds[frame + 1])))

    def _element(self, place: int) -> IoElement:
        entry: Any = self.elements[place]
        raw, width = int(entry["raw"]), int(entry["width"])
        if width:
            return IoElement(int(entry["id"]), width, raw)
        return IoElement(int(entry["id"]), 0, self.data[raw : raw + int(entry["length"])].tobytes())


class BatchDecoder:
    """Decodes batches of frames. Compiles, or loads, its machine code when it is made. Not thread-safe."""

    def __init__(self) -> None:
        self._walk = _walk()
        self._records: Records = np.empty(0, RECORD)
        self._elements: Elements = np.empty(0, ELEMENT)

    def decode(
        self,
        frames: Sequence[bytes],
        kinds: Sequence[int] | None = None,
        max_data_length: int = MAX_DATA_LENGTH,
    ) -> DecodedFrames:
        """Decode frames.

        Args:
            frames: each one whole, as `decode_tcp_frame` or `decode_udp_datagram` take it.
            kinds: `Kind` of each frame; all TCP when left out.
            max_data_length: longest data field accepted on TCP, in bytes; `NO_LIMIT` for any.
        """
        count = len(frames)
        joined = b"".join(frames)
        bounds = np.zeros(count + 1, np.int64)
        np.cumsum(np.fromiter(map(len, frames), np.int64, count), out=bounds[1:])
        self._make_room(len(joined))
        statuses, record_bounds = np.empty(count, np.uint8), np.empty(count + 1, np.int64)
        data = np.frombuffer(joined, np.uint8)
        kind_column = np.full(count, Kind.TCP, np.uint8) if kinds is None else np.array(kinds, np.uint8)
        element_count = self._walk(
            data,
            bounds,
            kind_column,
            max_data_length,
            self._records,
            self._elements.view(np.uint64),
            statuses,
            record_bounds,
        )
        return DecodedFrames(
            data,
            statuses,
            record_bounds,
            self._records[: record_bounds[count]],
            self._elements[:element_count],
        )

    def _make_room(self, size: int) -> None:
        """Grow the arrays to what so many bytes can hold at most; they never shrink."""
        records, elements = size // MIN_RECORD_LENGTH + 1, size // MIN_ELEMENT_LENGTH + 1
        if self._records.size < records:
            self._records = np.empty(records, RECORD)
        if self._elements.size < elements:
            self._elements = np.empty(elements, ELEMENT)
