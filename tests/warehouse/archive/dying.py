"""An archive run that kills itself: `python -m tests.warehouse.archive.dying SETTINGS_FILE DAY STEP`."""

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from telematics.settings import Settings
from tests.warehouse.dying import after, die
from warehouse.archive import archiving, folder

STEPS: Final = (
    "written", "stored", "read back", "manifest stored", "ledger not committed", "ledger committed",
    "dropped",
)  # fmt: skip


def prepare(step: str, day: date) -> None:
    """Put the end where the step asks for it."""
    put = folder.FolderStorage.put
    match step:
        case "written":
            archiving.parquet.write_day = after(archiving.parquet.write_day)
        case "stored":
            folder.FolderStorage.put = after(put, lambda _, key, *__: key.endswith(".parquet"))  # type: ignore[method-assign]
        case "read back":
            archiving.verification.read_back = after(archiving.verification.read_back)
        case "manifest stored":
            folder.FolderStorage.put = after(put, lambda _, key, *__: key.endswith(".json"))  # type: ignore[method-assign]
        case "ledger not committed":
            archiving.archive_ledger.hand_over = after(archiving.archive_ledger.hand_over)
        case "ledger committed":
            archiving._drop_partition = die
        case "dropped":
            archiving._drop_partition = after(archiving._drop_partition, lambda _, dropped: dropped == day)


if __name__ == "__main__":
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_text())
    day = date.fromisoformat(sys.argv[2])
    prepare(sys.argv[3], day)
    archiving.archive_days(settings, day + timedelta(9), 7, only={day})
