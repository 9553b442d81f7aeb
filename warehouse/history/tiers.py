"""Which tier holds which days of a range.

The ledger decides, not the age: a day whose hot rows were dropped is ClickHouse's, one that ClickHouse
dropped the archive's, every other day TimescaleDB's. Warm and cold are one table, whose answers say on which
volume their rows lay. A tier is asked in windows that grow from one to the next, so that a page costs what it
returns: neither does PostgreSQL plan over a year of chunks nor ClickHouse open a year of partitions for a
thousand rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from telematics.clock import day_start

FIRST_WINDOW = timedelta(days=2)
"""A busy car's page; more than a day, so that a window cut at midnight is never empty."""
LARGEST_WINDOW = timedelta(days=256)


class Tier(StrEnum):
    """Where rows were read."""

    HOT = "hot"
    """TimescaleDB."""
    WARM = "warm"
    """ClickHouse."""
    COLD = "cold"
    """ClickHouse, second volume. Spans say `WARM` for both: which volume a row lies on, its answer tells."""
    ARCHIVE = "archive"
    """Parquet on object storage."""


class Span(NamedTuple):
    """A half-open stretch of time that one tier answers for."""

    tier: Tier
    start: datetime
    end: datetime


def spans(start: datetime, end: datetime, moved: Mapping[date, Tier]) -> list[Span]:
    """Cut a range at the borders between tiers.

    Args:
        start: first moment.
        end: the moment after the last.
        moved: the tier of each day whose hot rows are gone; days outside the range do not matter.
    """
    found: list[Span] = []
    at = start
    for day, tier in sorted(moved.items()):
        first, last = max(at, day_start(day)), min(end, day_start(day + timedelta(1)))
        if first >= last:
            continue
        if first > at:
            found.append(Span(Tier.HOT, at, first))
        if found and found[-1].tier is tier and found[-1].end == first:
            found[-1] = found[-1]._replace(end=last)
        else:
            found.append(Span(tier, first, last))
        at = last
    if at < end:
        found.append(Span(Tier.HOT, at, end))
    return found


def windows(parts: Iterable[Span], first: timedelta = FIRST_WINDOW) -> Iterator[Span]:
    """The spans in order, cut at midnights UTC into windows that double up to the largest.

    At midnights, because no bucket of time reaches over one: each lies in one window.
    """
    width = first
    for part in parts:
        at = part.start
        while at < part.end:
            end = min(part.end, day_start((at + width).date()))
            yield Span(part.tier, at, end)
            at, width = end, min(width * 2, LARGEST_WINDOW)
