"""Recordings of the Vehicle Energy Dataset on disk: one archive or folder per vehicle, one CSV file per trip.

`FOLDER/VehId_N.tar.zst` and `FOLDER/VehId_N/*.csv` are both read; where both are there, the archive counts.
Trips are ordered by their DayNum, which the names do not tell, so an archive is unpacked once to an unnamed
temporary file (about 40 MB) and read from there trip by trip: memory stays that of a few trips.
"""

import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

import zstandard
from xxhash import xxh64

from telematics.errors import ConfigurationError, NotFoundError

DAY_MS: Final = 86_400_000
FIRST_DAY_MS: Final = 1_509_494_400_000
"""2017-11-01T00:00Z, which is DayNum 1.0."""

_ARCHIVE: Final = re.compile(r"VehId_(\d+)\.tar\.zst")
_FOLDER: Final = re.compile(r"VehId_(\d+)")
_ZSTD_WINDOW_BYTES: Final = 2**27
"""The archives were packed with a long window; the default limit would refuse them."""
_HASH_CHUNK_BYTES: Final = 1 << 20


class RecordingError(ConfigurationError):
    """A recording is missing or cannot be read as what it says it is."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One recorded trip.

    Attributes:
        name: of its file, for messages.
        start_ms: time of DayNum, milliseconds since the epoch, as recorded.
        end_ms: time of the last row.
        row_count: rows in it.
        place: where the reader finds its file.
        size: of its file in bytes.
    """

    name: str
    start_ms: int
    end_ms: int
    row_count: int
    place: int
    size: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A vehicle's recording that is there but was not opened."""

    vehicle_id: int
    path: Path

    def digest(self) -> str:
        """A hash over all its bytes, the same until the recording changes."""
        digest = xxh64()
        for path in [self.path] if self.path.is_file() else _csv_files(self.path):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while chunk := file.read(_HASH_CHUNK_BYTES):
                    digest.update(chunk)
        return digest.hexdigest()

    def open(self, scratch: Path | None = None) -> "OpenRecording":
        """The recording with its trips in the order of time; to be closed by the caller.

        Args:
            scratch: folder for the unpacked archive, default the system's.

        Raises:
            RecordingError: it cannot be read.
        """
        if self.path.is_file():
            return _open_archive(self, scratch)
        return _open_folder(self)


def find_recordings(folder: Path) -> list[Recording]:
    """All recordings in a folder, by vehicle number.

    Raises:
        NotFoundError: there is no such folder, or no recording in it.
    """
    found: dict[int, Recording] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            archive, unpacked = _ARCHIVE.fullmatch(path.name), _FOLDER.fullmatch(path.name)
            if unpacked and path.is_dir():
                found.setdefault(int(unpacked[1]), Recording(int(unpacked[1]), path))
            elif archive and path.is_file():
                found[int(archive[1])] = Recording(int(archive[1]), path)
    if not found:
        message = (
            f"{folder}: no recordings there; expected VehId_N.tar.zst or VehId_N/ with CSV files. "
            f"Without recordings, `piston simulate fleet --out tcp://HOST:PORT` sends a simulated fleet"
        )
        raise NotFoundError(message)
    return [found[vehicle_id] for vehicle_id in sorted(found)]


def select_recordings(recordings: Sequence[Recording], vehicle_ids: Sequence[int]) -> list[Recording]:
    """The recordings of these vehicles; all if none is named.

    Raises:
        NotFoundError: one of them is not there.
    """
    by_id = {recording.vehicle_id: recording for recording in recordings}
    missing = [str(vehicle_id) for vehicle_id in vehicle_ids if vehicle_id not in by_id]
    if missing:
        present = ", ".join(str(vehicle_id) for vehicle_id in by_id)
        message = f"no recording of vehicle {', '.join(missing)}; there are {present}"
        raise NotFoundError(message)
    return [by_id[vehicle_id] for vehicle_id in dict.fromkeys(vehicle_ids)] or list(recordings)


class OpenRecording:
    """A recording whose trips are known and can be read in any order."""

    def __init__(
        self, trips: list[Trip], read: Callable[[Trip], bytes], close: Callable[[], None] | None = None
    ) -> None:
        self.trips = sorted(trips, key=lambda trip: trip.start_ms)
        self._read = read
        self._close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def row_count(self) -> int:
        """Rows of all trips."""
        return sum(trip.row_count for trip in self.trips)

    def read(self, trip: Trip) -> bytes:
        """A trip's CSV file."""
        return self._read(trip)

    def batches(self, row_count: int) -> Iterator[list[Trip]]:
        """The trips in order, in lists of as few as make up `row_count` rows."""
        batch: list[Trip] = []
        rows = 0
        for trip in self.trips:
            batch.append(trip)
            rows += trip.row_count
            if rows >= row_count:
                yield batch
                batch, rows = [], 0
        if batch:
            yield batch

    def close(self) -> None:
        """Give back what the reader holds."""
        if self._close is not None:
            self._close()
            self._close = None


def _csv_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix == ".csv")


def _open_folder(recording: Recording) -> OpenRecording:
    files = _csv_files(recording.path)
    trips = []
    for place, path in enumerate(files):
        trips.append(_describe(path.name, path.read_bytes(), place))
    _require_trips(recording, trips)
    return OpenRecording(trips, lambda trip: files[trip.place].read_bytes())


def _open_archive(recording: Recording, scratch: Path | None) -> OpenRecording:
    spool = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - the recording closes it
    try:
        trips = list(_unpack(recording, spool))
        _require_trips(recording, trips)
    except BaseException:
        spool.close()
        raise
    descriptor = spool.fileno()
    return OpenRecording(trips, lambda trip: os.pread(descriptor, trip.size, trip.place), spool.close)


def _unpack(recording: Recording, spool: IO[bytes]) -> Iterator[Trip]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    try:
        with recording.path.open("rb") as packed:
            decompressor.copy_stream(packed, spool)
        spool.flush()
        spool.seek(0)
        with tarfile.open(fileobj=spool, mode="r:") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".csv"):
                    content = os.pread(spool.fileno(), member.size, member.offset_data)
                    yield _describe(Path(member.name).name, content, member.offset_data)
    except (zstandard.ZstdError, tarfile.TarError) as error:
        message = f"{recording.path}: not a readable tar.zst archive ({error}); fetch it again"
        raise RecordingError(message) from error


def _require_trips(recording: Recording, trips: list[Trip]) -> None:
    if not trips:
        message = f"{recording.path}: no CSV file in it"
        raise RecordingError(message)


def _describe(name: str, content: bytes, place: int) -> Trip:
    """The trip that a CSV file holds; its first columns are DayNum, VehId, Trip, Timestamp(ms)."""
    if content and not content.endswith(b"\n"):
        message = f"{name}: the last line is cut; fetch the recording again"
        raise RecordingError(message)
    row_count = content.count(b"\n") - 1
    if row_count < 1:
        message = f"{name}: no rows in it"
        raise RecordingError(message)
    first = content.index(b"\n") + 1
    last = content.rindex(b"\n", 0, len(content) - 1) + 1
    try:
        start_ms = day_num_ms(float(content[first : content.index(b",", first)]))
        end_ms = start_ms + round(float(content[last:].split(b",", 4)[3]))
    except (ValueError, IndexError, OverflowError) as error:
        message = f"{name}: rows must begin with DayNum, VehId, Trip, Timestamp(ms)"
        raise RecordingError(message) from error
    return Trip(name, start_ms, end_ms, row_count, place, len(content))


def day_num_ms(day_num: float) -> int:
    """A DayNum as milliseconds since the epoch; it behaves as UTC and 1.0 is 2017-11-01T00:00."""
    return FIRST_DAY_MS + round((day_num - 1.0) * DAY_MS)
