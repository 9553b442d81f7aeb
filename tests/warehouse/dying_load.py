"""A load of two days that kills itself: `python -m tests.warehouse.dying_load SETTINGS_FILE DAY STEP`."""

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from telematics.settings import Settings
from tests.warehouse.dying import after, die
from warehouse import crossing, day_load

STEPS: Final = ("crossing", "staged", "swapped", "ledger not committed", "ledger committed")


def prepare(step: str) -> None:
    """Put the end where the step asks for it."""
    match step:
        case "crossing":
            crossing.Crossing.days = die  # type: ignore[method-assign, assignment]
        case "staged":
            day_load._staged_counts = after(day_load._staged_counts)
        case "swapped":
            day_load.ledger.write_loads = die  # type: ignore[assignment]
        case "ledger not committed":
            day_load.ledger.write_loads = after(day_load.ledger.write_loads)


if __name__ == "__main__":
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_text())
    day, step = date.fromisoformat(sys.argv[2]), sys.argv[3]
    prepare(step)
    # progress is told once a slice is in the ledger
    told = die if step == "ledger committed" else lambda _: None
    day_load.load_days(settings, day, day + timedelta(2), f"dying {step}", progress=told)
