"""Diagnostic trouble codes: what one looks like, and what the common ones mean.

SAE J2012 / ISO 15031-6: a letter for the system (P powertrain, C chassis, B body, U network), a digit that
says who defined the code (0, and 2 for P, the standard; others the maker or reserved), a hexadecimal digit
for the subsystem and two for the fault; a failure type byte may follow (J2012-DA). `dtc.csv` words the
codes of the standard that are met most; it is ours, and a code that is not in it has no meaning here rather
than a guessed one.
"""

import csv
import re
from functools import cache
from importlib import resources
from typing import Final

DTC: Final = re.compile(r"[PCBU][0-3][0-9A-F]{3}(-[0-9A-F]{2})?")
"""A whole code, in capitals."""
_CODE_CHARS: Final = 5


@cache
def meanings() -> dict[str, str]:
    """Code → meaning, for the codes that are known here."""
    text = resources.files("telematics").joinpath("dtc.csv").read_text(encoding="utf-8")
    return {row["code"]: row["meaning"] for row in csv.DictReader(text.splitlines())}


def maybe_meaning(code: str) -> str | None:
    """What a code means, whatever its failure type byte; None where that is not known here."""
    return meanings().get(code[:_CODE_CHARS])
