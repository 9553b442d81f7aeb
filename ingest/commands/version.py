"""What a device says it is, read from its answer to `getver`.

The vendor documents the answer as blank-separated `Name:value` pairs, for example
``Ver:03.27.07_00 GPS:AXN_5.10_3333 Hw:FMB120 Mod:13 IMEI:… Init:2020-1-1 0:0 Uptime:17 …``. Names that are
not there are not guessed.
"""

import re
from dataclasses import dataclass
from typing import Final

_FIRMWARE: Final = re.compile(r"(?:^|[\s,;])Ver:\s?([\w.\-+/]{1,64})", re.ASCII | re.IGNORECASE)
_MODEL: Final = re.compile(r"(?:^|[\s,;])Hw:\s?([\w.\-+/]{1,64})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DeviceVersion:
    """Model (the hardware's name) and firmware; either may be unknown, never both."""

    model: str | None
    firmware: str | None


def asks_version(command: str) -> bool:
    """Whether a command is `getver`."""
    return command.strip().lower() == "getver"


def parse_version(answer: str) -> DeviceVersion | None:
    """Model and firmware in an answer to `getver`; None if it names neither."""
    model, firmware = _MODEL.search(answer), _FIRMWARE.search(answer)
    if model is None and firmware is None:
        return None
    return DeviceVersion(model and model[1], firmware and firmware[1])
