"""The last day of each fleet, chosen once: a later run sends the same records again, and nothing doubles."""

import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from telematics.errors import ConfigurationError

END_DAY_FILE: Final = "fleet.json"


def kept_end_day(folder: Path, seed: int, today: date) -> date:
    """The last day of the fleet of this seed; yesterday, and kept, if none was chosen before.

    Args:
        folder: of the replay's state.
        seed: of the fleet.
        today: the present UTC day.

    Raises:
        ConfigurationError: the kept days cannot be read.
    """
    path = folder / END_DAY_FILE
    kept = _read(path) if path.exists() else {}
    if seed not in kept:
        kept[seed] = today - timedelta(days=1)
        _write(path, kept)
    return kept[seed]


def _read(path: Path) -> dict[int, date]:
    try:
        days = json.loads(path.read_text())["end_days"]
        return {int(seed): date.fromisoformat(day) for seed, day in days.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = (
            f"{path} does not hold the last days of generated fleets; remove it together with the ledgers "
            f"beside it"
        )
        raise ConfigurationError(message) from error


def _write(path: Path, days: dict[int, date]) -> None:
    """All or nothing, and on disk before the first record of that fleet is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"end_days": {str(seed): day.isoformat() for seed, day in sorted(days.items())}})
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
