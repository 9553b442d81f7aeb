"""The recorded drives beside the project, as records that a tracker would have sent."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.hot_days import Arrival, arrivals
from ingest.registry.models import NewDevice
from simulation.replay.ved_recording import find_recordings
from simulation.replay.ved_source import VedSource

NEVER_COLD_DAYS: Final = 20_000
"""Warm retention that keeps drives of 2017 warm, as they were when they were new. It must not reach 2106,
where ClickHouse's DateTime ends."""
_REPOSITORY: Final = Path(__file__).resolve().parents[1]


def recordings_folder() -> Path | None:
    """The folder that `PISTON_VED_DIR` names, or that lies beside the clone; None if there is none."""
    named = os.environ.get("PISTON_VED_DIR")
    if named:
        return Path(named)
    beside = _REPOSITORY.parent / "shared" / "data" / "ved"
    return beside if beside.is_dir() else None


def recorded_drives(folder: Path, scratch: Path) -> Iterator[tuple[NewDevice, list[Arrival]]]:
    """Each recorded vehicle's tracker and its frames, at the times at which the recordings were made.

    Raises:
        NotFoundError: there is no recording in the folder.
        RecordingError: one cannot be read.
    """
    for recording in find_recordings(folder):
        source = VedSource(recording, 0, scratch)
        yield source.device, [*arrivals(source.device.imei, source.blocks(0))]
