"""By how many whole days recordings are moved so that they end now.

Whole days keep the time of day, on which traffic and temperatures hang. The number is chosen once, over every
recording of the folder, and kept in the stack's state: a later run sends the same records again, and nothing
doubles.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from simulation.replay.ved_recording import Recording
from telematics.errors import ConfigurationError

OFFSET_FILE: Final = "ved.json"


def last_day(recordings: Sequence[Recording]) -> date:
    """The UTC day of the last recorded row over all recordings."""
    ends = []
    for recording in recordings:
        with recording.open() as opened:
            ends.append(max(trip.end_ms for trip in opened.trips))
    return datetime.fromtimestamp(max(ends) / 1000, UTC).date()


def days_to(last: date, today: date) -> int:
    """Days that move `last` to the day before `today`, the last complete one."""
    return (today - last).days - 1


def kept_offset(folder: Path, recordings: Sequence[Recording], today: date) -> int:
    """The offset in days of this stack, chosen now if it never was.

    Args:
        folder: of the replay's state.
        recordings: all of the folder, not only those that are sent.
        today: the present UTC day.

    Raises:
        ConfigurationError: the kept number cannot be read.
    """
    path = folder / OFFSET_FILE
    if path.exists():
        try:
            return int(json.loads(path.read_text())["offset_days"])
        except (ValueError, KeyError, TypeError) as error:
            message = (
                f"{path} does not hold the replay's offset; remove it together with the ledgers beside it"
            )
            raise ConfigurationError(message) from error
    offset = days_to(last_day(recordings), today)
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"offset_days": offset, "chosen_on": today.isoformat()}))
    fresh.rename(path)
    return offset
