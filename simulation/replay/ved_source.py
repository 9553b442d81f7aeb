"""One recorded vehicle as a source of encoded records."""

from collections import Counter
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

from ingest.registry.models import NewDevice
from simulation.device.encoding import encode_columns
from simulation.device.records import RecordBlock
from simulation.replay.ved_fleet import ved_vehicle
from simulation.replay.ved_mapping import VedMapper, parse_trips
from simulation.replay.ved_recording import DAY_MS, OpenRecording, Recording

ENCODER_VERSION: Final = 1
"""Grows with every change that makes other bytes out of the same recording."""
BLOCK_ROWS: Final = 4096
"""Rows that make a block full (at least: trips stay whole). Arrays of this length pay for numpy's calls and
keep a block near 0.3 MB."""


class VedSource:
    """A recording, moved in time by whole days.

    Args:
        recording: what to send.
        offset_days: added to every recorded time.
        scratch: folder for temporary files.
    """

    def __init__(self, recording: Recording, offset_days: int, scratch: Path | None = None) -> None:
        self._recording = recording
        self._offset_days = offset_days
        self._scratch = scratch
        self._vehicle = ved_vehicle(recording.vehicle_id)
        self._left_out: Counter[str] = Counter()
        self._opened: OpenRecording | None = None

    @property
    def name(self) -> str:
        """As VED names the vehicle: `VehId_488`."""
        return f"VehId_{self._recording.vehicle_id}"

    @property
    def device(self) -> NewDevice:
        """The tracker that stands for the recorder."""
        return self._vehicle.as_new_device()

    @property
    def pin(self) -> Mapping[str, str | int]:
        """Recording, offset and encoder."""
        return {
            "imei": self._vehicle.imei,
            "recording": self._recording.digest(),
            "offset_days": self._offset_days,
            "encoder": ENCODER_VERSION,
        }

    def count(self) -> int:
        """Rows of the recording."""
        return self._open().row_count

    def blocks(self, skip: int) -> Generator[RecordBlock, None, None]:
        """The rows behind the first `skip` as records, whole trips to a block.

        Raises:
            RecordingError: the recording cannot be read.
        """
        with self._open() as opened:
            self._opened = None
            mapper = VedMapper(self._offset_days * DAY_MS)
            self._left_out = mapper.left_out
            behind = 0
            for trips in opened.batches(BLOCK_ROWS):
                # the odometer counts over all trips, so those that were sent before are mapped again
                columns = mapper.map(parse_trips(trips, [opened.read(trip) for trip in trips]))
                first = max(0, skip - behind)
                behind += len(columns)
                if first < len(columns):
                    yield encode_columns(columns.tail(first))

    def left_out(self) -> Counter[str]:
        """Recorded values that their field could not hold, by recorded column."""
        return self._left_out

    def _open(self) -> OpenRecording:
        if self._opened is None:
            self._opened = self._recording.open(self._scratch)
        return self._opened
