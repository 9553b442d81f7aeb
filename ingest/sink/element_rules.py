"""What the compiled row builder knows about IO elements: which column each fills, and how.

The same meaning as `ingest.measurement.element_columns`, as arrays instead of functions. What does not fit in
a rule (a column that could not hold every value of the element) is marked for the reference.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from struct import Struct
from typing import Final, NamedTuple

import numpy as np

from ingest.batch.layout import Column
from ingest.measurement import (
    DTC_CODES,
    DTC_COUNT,
    FLAG_COLUMNS,
    METRES_PER_KM,
    RAW_COLUMNS,
    column_elements,
)
from ingest.sink.columns import FIXED_COLUMNS
from telematics.avl.dictionary import AvlElement, Family


class Kind(IntEnum):
    """How a value comes out of an element."""

    NO_COLUMN = 0
    INTEGER = 1
    """number × numerator, into a column of integers."""
    REAL = 2
    """number × numerator ÷ denominator, into a column of floating-point numbers."""
    FLAG = 3
    """0 or 1; anything else is no measurement."""
    DTC_COUNT = 4
    DTC_LIST = 5
    REFERENCE = 6
    """Not for compiled code: the reference builds the row."""


RULE: Final = np.dtype(
    [
        ("numerator", np.int64),
        ("denominator", np.float64),
        ("sign_shift", np.int64),  # bits above a two's complement number in 64 bits; 0: unsigned
        ("sentinel_start", np.int32),  # its error codes in the array of all of them
        ("sentinel_end", np.int32),
        ("column", np.int16),  # place in FIXED_COLUMNS
        ("is_double", np.bool_),
        ("kind", np.uint8),
    ],
    align=True,
)

MAX_WIDTH: Final = 8
_ID_COUNT: Final = 1 << 16
_EXACT: Final = 2**53
"""Integers below are exact as doubles, so that compiled arithmetic rounds where Python's rounds."""
_PLACES: Final = {column.name: place for place, column in enumerate(FIXED_COLUMNS)}
_FLOAT_CODES: Final = "fd"


@dataclass(frozen=True, slots=True)
class ElementRules:
    """Rules of all families.

    Attributes:
        families: family → first index of `lookup`; None is a device that is not registered.
        lookup: [family, AVL id, wire width] → number of the rule; 0: no column.
        rules: entries of `RULE`.
        sentinels: error codes of all rules.
    """

    families: dict[str | None, int]
    lookup: Column
    rules: Column
    sentinels: Column


class _Rule(NamedTuple):
    kind: Kind
    column: str
    numerator: int = 1
    denominator: int = 1
    is_signed: bool = False
    sentinels: tuple[int, ...] = ()


@cache
def element_rules() -> ElementRules:
    """The rules, worked out from the dictionary once."""
    families: dict[str | None, int] = {None: 0} | {
        family.value: number for number, family in enumerate(Family, start=1)
    }
    lookup = np.zeros((len(families), _ID_COUNT, MAX_WIDTH + 1), np.uint8)
    found: list[tuple[_Rule, int]] = [(_Rule(Kind.NO_COLUMN, "time"), 0)]
    numbers: dict[tuple[_Rule, int], int] = {}
    for family, first in families.items():
        if family is None:
            continue
        for (avl_id, width), (column, element) in column_elements(family).items():
            key = _rule(column, element), width
            if key not in numbers:
                numbers[key] = len(found)
                found.append(key)
            lookup[first, avl_id, width] = numbers[key]
    sentinels: list[int] = []
    rules = np.zeros(len(found), RULE)
    for number, (rule, width) in enumerate(found):
        start = len(sentinels)
        sentinels += rule.sentinels
        place = _PLACES.get(rule.column, 0)
        rules[number] = (
            rule.numerator,
            rule.denominator,
            64 - 8 * width if rule.is_signed else 0,
            start,
            len(sentinels),
            place,
            FIXED_COLUMNS[place].code == "d",
            rule.kind,
        )
    return ElementRules(families, lookup, rules, np.array(sentinels, np.int64))


def _rule(column: str, element: AvlElement) -> _Rule:
    if column == DTC_CODES:
        return _Rule(Kind.DTC_LIST if element.width == 0 else Kind.REFERENCE, column)
    if element.width == 0:
        return _Rule(Kind.REFERENCE, column)
    if column == DTC_COUNT:
        is_plain = element.multiplier == 1 and not element.is_signed and not element.sentinels
        return _Rule(Kind.DTC_COUNT if is_plain else Kind.REFERENCE, column)
    if column in FLAG_COLUMNS:
        return _Rule(Kind.FLAG, column)
    numerator, denominator = element.multiplier.as_integer_ratio()
    rule = _Rule(
        _kind_of(column), column, numerator, denominator, element.is_signed, tuple(sorted(element.sentinels))
    )
    if column in RAW_COLUMNS:
        rule = _Rule(rule.kind, column)
    elif element.unit == "km":
        rule = rule._replace(numerator=numerator * METRES_PER_KM)
    return rule if _fits(rule, element) else _Rule(Kind.REFERENCE, column)


def _kind_of(column: str) -> Kind:
    return Kind.REAL if FIXED_COLUMNS[_PLACES[column]].code in _FLOAT_CODES else Kind.INTEGER


def _fits(rule: _Rule, element: AvlElement) -> bool:
    """Whether the column holds every value of the element, and compiled arithmetic gets each right."""
    bits = 8 * element.width
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if rule.is_signed else (0, (1 << bits) - 1)
    largest = max(-lowest, highest) * rule.numerator
    if rule.kind is Kind.REAL:
        return largest < _EXACT and element.unit != "km"
    size = Struct(FIXED_COLUMNS[_PLACES[rule.column]].code).size
    return rule.denominator == 1 and largest < 1 << 8 * size - 1
