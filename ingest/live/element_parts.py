"""Which part an IO element plays in live state and alerts, for compiled code: by family, AVL id and width.

Numbers come out of elements by the rules of `ingest.sink.element_rules`. An element that a reader of
`ingest.alerts.facts` looks at and that has no part of its own here is an alarm: then the reference judges the
record, so a new reader is slow until it is known here, and never unheard.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

import numpy as np

from ingest.alerts.facts import readers_of
from ingest.batch.layout import Column
from ingest.measurement import DTC_CODES, DTC_COUNT, ODOMETER_COLUMNS, column_elements
from ingest.sink.element_rules import Kind, element_rules


class Part(IntEnum):
    """What an element is for."""

    NONE = 0
    REAL = 1
    """A number of `REALS`."""
    METRES = 2
    IGNITION = 3
    DTC_COUNT = 4
    DTC_LIST = 5
    HARSH = 6
    LEVEL = 7
    CRASH = 8
    VIN = 9
    VIN_PART = 10
    ALARM = 11
    """The reference judges the record."""
    RARE = 12
    """The reference measures the record."""


PART: Final = np.dtype([("rule", np.int32), ("part", np.uint8), ("slot", np.uint8)], align=True)
"""Number in `ElementRules.rules`, the `Part`, and which of those that play it."""

REALS: Final = ("hdop", "battery_v", "fuel_pct")
_COLUMN_PARTS: Final[dict[str, tuple[Part, int]]] = {
    **{name: (Part.REAL, slot) for slot, name in enumerate(REALS)},
    **{name: (Part.METRES, slot) for slot, name in enumerate(ODOMETER_COLUMNS.values())},
    "ignition": (Part.IGNITION, 0),
    "harsh_kind": (Part.HARSH, 0),
    DTC_COUNT: (Part.DTC_COUNT, 0),
    DTC_CODES: (Part.DTC_LIST, 0),
}
_KINDS: Final = {
    Part.REAL: Kind.REAL,
    Part.METRES: Kind.INTEGER,
    Part.IGNITION: Kind.FLAG,
    Part.HARSH: Kind.INTEGER,
    Part.DTC_COUNT: Kind.DTC_COUNT,
    Part.DTC_LIST: Kind.DTC_LIST,
}
"""The kind of rule that compiled code expects for a part; any other is for the reference."""
_READER_PARTS: Final[dict[int, tuple[Part, int]]] = {
    246: (Part.LEVEL, 1),
    252: (Part.LEVEL, 0),
    247: (Part.CRASH, 0),
    256: (Part.VIN, 0),
    325: (Part.VIN, 1),
    233: (Part.VIN_PART, 0),
    234: (Part.VIN_PART, 1),
    235: (Part.VIN_PART, 2),
}
"""AVL id of a reader → part; slots in the order of `ingest.alerts.packed.SIGNALS`."""


@dataclass(frozen=True, slots=True)
class ElementParts:
    """Parts of all families.

    Attributes:
        lookup: [family, AVL id, wire width] → number of the part; 0: none. Families as in `ElementRules`.
        parts: entries of `PART`.
    """

    lookup: Column
    parts: Column


@cache
def element_parts() -> ElementParts:
    """The parts, worked out from the dictionary once."""
    rules = element_rules()
    lookup = np.zeros_like(rules.lookup)
    found: dict[tuple[int, Part, int], int] = {(0, Part.NONE, 0): 0}
    for family, first in rules.families.items():
        if family is None:
            continue
        for (avl_id, width), (column, _) in column_elements(family).items():
            if column in _COLUMN_PARTS:
                part, slot = _COLUMN_PARTS[column]
                rule = int(rules.lookup[first, avl_id, width])
                if rules.rules[rule]["kind"] != _KINDS[part]:
                    part = Part.RARE
                lookup[first, avl_id, width] = found.setdefault((rule, part, slot), len(found))
        for avl_id, width in readers_of(family):
            is_taken = lookup[first, avl_id, width] != 0
            part, slot = (Part.RARE, 0) if is_taken else _READER_PARTS.get(avl_id, (Part.ALARM, 0))
            lookup[first, avl_id, width] = found.setdefault((0, part, slot), len(found))
    return ElementParts(lookup, np.array(list(found), PART))
