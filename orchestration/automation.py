"""When assets and checks run by themselves: conditions, and the sensor that evaluates them.

Declared is what follows from something that happened: a new champion or a finished day is scored, published
and indexed. What follows from the clock alone (a day is over, a quarter of an hour went by) stays with the
schedules in `jobs`, see docs/decisions/0018-what-is-declared-and-what-is-scheduled.md.
"""

from datetime import timedelta
from typing import Final

import dagster as dg

from orchestration.partitions import CAUSE_TAG

AnyCondition = dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]

CHECKS_CRON: Final = "5 * * * *"
SCORING_CRON: Final = "20 * * * *"
"""At most one scoring an hour: yesterday is built again whenever late records of it come in."""

_CHECKS_TICK: Final[dg.AutomationCondition[dg.AssetCheckKey]] = dg.AutomationCondition.cron_tick_passed(
    CHECKS_CRON
)
HOURLY: Final = (_CHECKS_TICK & ~dg.AutomationCondition.in_progress()).with_label("every hour")
"""Checks that must speak up when nothing runs at all."""

_LAST_DAY: Final = (
    dg.AutomationCondition.in_latest_time_window(timedelta(days=2))
    & ~dg.AutomationCondition.in_latest_time_window()
).with_label("the newest day that is over")
"""Today is a partition too, and is built every quarter of an hour."""


def after_the_day(daily: dg.AssetKey, replaced: dg.AssetKey) -> AnyCondition:
    """An asset without partitions is made again after the newest complete day was built.

    At once, unless it was made within this hour already (`SCORING_CRON`): then at the hour's end.

    Args:
        daily: the daily asset whose newest complete day counts.
        replaced: an asset without partitions, which counts whenever it is made, and at once.
    """
    built = (
        dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated() & _LAST_DAY)
        .allow(dg.AssetSelection.assets(daily))
        .since_last_handled()
    )
    tick: AnyCondition = dg.AutomationCondition.cron_tick_passed(SCORING_CRON)
    new = (
        dg.AutomationCondition.any_deps_updated()
        .allow(dg.AssetSelection.assets(replaced))
        .since_last_handled()
    )
    return (
        ((built & tick.since_last_handled()) | new)
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label(f"after the newest complete day of {daily.path[-1]}, or a new {replaced.path[-1]}")


def together_with(*upstream: dg.AssetKey) -> dg.AutomationCondition[dg.AssetKey]:
    """Made in the run that is asked for upstream, or after one in which only upstream was made."""
    return (
        dg.AutomationCondition.any_deps_updated()
        .allow(dg.AssetSelection.assets(*upstream))
        .since_last_handled()
        & ~dg.AutomationCondition.any_deps_in_progress().allow(dg.AssetSelection.assets(*upstream))
        & ~dg.AutomationCondition.in_progress()
    ).with_label(f"together with {' and '.join(key.path[-1] for key in upstream)}")


automation_sensor: Final = dg.AutomationConditionSensorDefinition(
    "automation_sensor",
    target=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
    run_tags={CAUSE_TAG: "automation"},
    description="Evaluates what assets and checks say about when they are to run.",
)
