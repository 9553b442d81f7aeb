"""Daily UTC partitions, and which days a run is about."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final

import dagster as dg

from telematics.clock import utc_today
from telematics.settings import current_settings

RANGE_START_TAG: Final = "dagster/asset_partition_range_start"
RANGE_END_TAG: Final = "dagster/asset_partition_range_end"
PARTITION_TAG: Final = "dagster/partition"
CAUSE_TAG: Final = "piston/cause"
"""Why a run was asked for."""

DAY: Final = timedelta(days=1)

DAYS: Final = dg.DailyPartitionsDefinition(
    start_date=current_settings().first_day.isoformat(),
    timezone="UTC",
    end_offset=1,  # today is a partition too, loaded provisionally
)

ONE_RUN: Final = dg.BackfillPolicy.single_run()
"""Every daily asset takes any range of days in one run."""

Days = tuple[date, date]
"""A range of UTC days: first (inclusive), until (exclusive)."""


def range_tags(first: date, until: date) -> dict[str, str]:
    """Run tags that ask for the days `first` (inclusive) to `until` (exclusive)."""
    return {RANGE_START_TAG: first.isoformat(), RANGE_END_TAG: (until - DAY).isoformat()}


def days_of_tags(tags: Mapping[str, str]) -> Days | None:
    """The days that a run's tags ask for, or None for a run without partitions."""
    if RANGE_START_TAG in tags and RANGE_END_TAG in tags:
        return date.fromisoformat(tags[RANGE_START_TAG]), date.fromisoformat(tags[RANGE_END_TAG]) + DAY
    if PARTITION_TAG in tags:
        day = date.fromisoformat(tags[PARTITION_TAG])
        return day, day + DAY
    return None


def days_of(context: dg.AssetExecutionContext) -> Days:
    """The days that an asset's step covers.

    The run's tags tell them. A run of checks alone has no partitions, even where its assets have: it is about
    the days of its tags too, or, asked for without any, about today.
    """
    today = utc_today()
    return days_of_tags(context.run.tags) or (today, today + DAY)


def ranges_of(days: Iterable[date]) -> list[Days]:
    """The days gathered into contiguous ranges, oldest first; duplicates count once."""
    ranges: list[Days] = []
    for day in sorted(set(days)):
        if ranges and ranges[-1][1] == day:
            ranges[-1] = (ranges[-1][0], day + DAY)
        else:
            ranges.append((day, day + DAY))
    return ranges
