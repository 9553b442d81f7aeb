"""What an IO element means: name, sign, scale, unit and error codes, by (family, AVL id, wire width).

The same id means different things on different families, often with another width: 36 is engine speed (two
bytes) on an OBD tracker and total mileage (four bytes) on an FMB640. So all three are the key, an element
that is not in the table stays raw, and no family is ever guessed. The table is `dictionary.csv`:

family      F (all trackers but 6xx), OBD, CAN, OEM (groups of ids that only some of those send), 6xx
id, width   AVL id; bytes on the wire, 0 for variable length
signed      1: two's complement
multiplier  decimal text; value = number × multiplier
unit        UCUM, except `rpm`, `mG` (thousandths of standard gravity) and `L/100km`; empty: none
name        snake_case, unique within a family
encoding    variable length only: `ascii` text or `hex`
sentinels   `number=reason;…`: numbers (after the sign, before the multiplier) that stand for an error
source      list it was taken from: `wiki:` is the page of that name in the vendor's wiki

Error codes hide real values: with a multiplier of 0.01 the old firmware's 2000 is also 20.00 degrees. A
missing temperature is the smaller harm.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Final

AvlValue = int | float | str


class Family(StrEnum):
    """Families of trackers, and groups of ids within family F."""

    F = "F"
    """FMB, FMC, FMM, FMU, FMT 0xx to 2xx, 8xx and 9xx: everything that the groups below may send."""
    OBD = "OBD"
    """OBD dongles and trackers with a Bluetooth OBD reader."""
    CAN = "CAN"
    """Trackers with an LV-CAN200, ALL-CAN300 or CAN-CONTROL, built in or not."""
    OEM = "OEM"
    """Manufacturer-specific OBD requests."""
    SIX = "6xx"
    """FMB, FMC, FMM 640, 641 and 650: a dictionary of its own."""


_GROUPS: Final = {
    Family.F: (Family.F, Family.OBD, Family.CAN, Family.OEM),
    Family.OBD: (Family.F, Family.OBD, Family.OEM),
    Family.CAN: (Family.F, Family.CAN),
    Family.OEM: (Family.F, Family.OEM),
    Family.SIX: (Family.SIX,),
}
"""Which rows of the table a tracker of each family may use."""


@dataclass(frozen=True, slots=True)
class AvlElement:
    """One row of the table.

    Attributes:
        family: the row's own group, which is not always the family that was asked for.
        id: AVL id.
        width: bytes on the wire, 0 for variable length.
        is_signed: whether the number is two's complement.
        multiplier: exact.
        unit: of the value, None if it has none.
        name: snake_case.
        is_text: whether a variable-length value is ASCII text; else it is any bytes.
        sentinels: numbers that stand for an error, with the error.
        source: where the row was taken from.
    """

    family: Family
    id: int
    width: int
    is_signed: bool
    multiplier: Decimal
    unit: str | None
    name: str
    is_text: bool
    sentinels: Mapping[int, str]
    source: str

    def number(self, raw: int) -> int:
        """The integer on the wire with its sign.

        Args:
            raw: as an unsigned integer of the element's width.
        """
        bits = 8 * self.width
        return raw - (1 << bits) if self.is_signed and raw >> (bits - 1) else raw

    def value(self, raw: int | bytes) -> AvlValue | None:
        """What was measured, in `unit`; None if the device reports an error instead (see `reason`).

        A number with a multiplier is the double nearest to the exact decimal product. Variable-length values
        are text, or hexadecimal digits where they are not text.
        """
        if isinstance(raw, bytes):
            if not self.is_text:
                return raw.hex()
            return raw.rstrip(b"\0").decode("ascii") if self.reason(raw) is None else None
        number = self.number(raw)
        if number in self.sentinels:
            return None
        if self.multiplier == 1:
            return number
        numerator, denominator = self.multiplier.as_integer_ratio()
        return number * numerator if denominator == 1 else number * numerator / denominator

    def reason(self, raw: int | bytes) -> str | None:
        """Why `value` is None: the documented meaning of an error code; None if there is a value."""
        if isinstance(raw, bytes):
            text = raw.rstrip(b"\0")
            is_good = not self.is_text or (text.isascii() and text.decode("ascii").isprintable())
            return None if is_good else "not printable ASCII"
        return self.sentinels.get(self.number(raw))


def lookup(family: str, avl_id: int, width: int) -> AvlElement | None:
    """The meaning of an element on a tracker of the family, or None: then keep it raw.

    Args:
        family: a member of `Family` or its text.
        avl_id: AVL id.
        width: bytes on the wire, 0 for variable length.
    """
    return _tables().get(family, _NONE).get((avl_id, width))


def elements(family: str) -> Mapping[tuple[int, int], AvlElement]:
    """Everything that a tracker of the family may send, by (id, width)."""
    return MappingProxyType(_tables().get(family, _NONE))


_NONE: Final[dict[tuple[int, int], AvlElement]] = {}


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[tuple[int, int], AvlElement]]:
    text = resources.files("telematics.avl").joinpath("dictionary.csv").read_text(encoding="utf-8")
    rows = [_element(row) for row in csv.DictReader(text.splitlines())]
    return {
        family: {(row.id, row.width): row for group in groups for row in rows if row.family == group}
        for family, groups in _GROUPS.items()
    }


def _element(row: dict[str, str]) -> AvlElement:
    sentinels = (pair.split("=", 1) for pair in row["sentinels"].split(";") if pair)
    return AvlElement(
        family=Family(row["family"]),
        id=int(row["id"]),
        width=int(row["width"]),
        is_signed=row["signed"] == "1",
        multiplier=Decimal(row["multiplier"]),
        unit=row["unit"] or None,
        name=row["name"],
        is_text=row["encoding"] == "ascii",
        sentinels=MappingProxyType({int(number): reason for number, reason in sentinels}),
        source=row["source"],
    )
