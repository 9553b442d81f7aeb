"""Conditions, evaluated as the daemon does, against an instance in memory. No server runs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration.dbt_assets import COMPONENT_FEATURES
from orchestration.definitions import defs
from orchestration.publishing import SCORES
from orchestration.scoring_assets import HEALTH_SCORES, PREDICTIONS
from orchestration.search import SEARCH
from orchestration.training_assets import CHAMPION

NOON = datetime(2026, 3, 10, 12, 1, tzinfo=UTC)
SCORED = {PREDICTIONS, HEALTH_SCORES, SCORES, SEARCH}
CHECKS = {"fresh", "on_time", "schema"}


class Daemon:
    """Ticks of the automation sensor, each a minute after the last unless told otherwise."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._cursor = None
        self._now = NOON
        self.tick(0)

    def tick(self, minutes: float = 1) -> set[dg.AssetKey | dg.AssetCheckKey]:
        """What is asked for, each without partitions."""
        self._now += timedelta(minutes=minutes)
        result = dg.evaluate_automation_conditions(
            defs, self._instance, cursor=self._cursor, evaluation_time=self._now
        )
        self._cursor = result.cursor
        return {each.key for each in result.results if not each.true_subset.is_empty}

    def built(self, key: dg.AssetKey, partitions: Sequence[str | None] = (None,)) -> None:
        """The asset was made, in no run of a condition's own."""
        for partition in partitions:
            self._instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))

    def scored(self) -> None:
        """What the sensor asked for was made."""
        for key in SCORED:
            self.built(key)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as temporary:
        yield temporary


@pytest.fixture
def daemon(instance: dg.DagsterInstance) -> Daemon:
    """Started anew: what happened before is none of its business."""
    return Daemon(instance)


def test_a_finished_day_is_scored_published_and_indexed_once(daemon: Daemon):
    daemon.tick(30)
    daemon.built(COMPONENT_FEATURES, ["2026-03-09"])
    assert daemon.tick() == SCORED
    assert daemon.tick() == set(), "asked for already"
    daemon.scored()
    assert daemon.tick() == set(), "what was asked for is no news"


def test_today_and_old_days_are_no_reason_to_score(daemon: Daemon):
    daemon.tick(30)
    daemon.built(COMPONENT_FEATURES, ["2026-03-10", "2026-03-08", "2025-06-01"])
    assert daemon.tick() == set()


def test_a_day_that_is_built_again_and_again_is_scored_once_an_hour(daemon: Daemon):
    daemon.tick(30)  # 12:31
    daemon.built(COMPONENT_FEATURES, ["2026-03-09"])
    assert daemon.tick() == SCORED
    daemon.scored()
    asked = 0
    for _ in range(12):
        daemon.built(COMPONENT_FEATURES, ["2026-03-09"])
        if daemon.tick(10) & SCORED:
            asked += 1
            daemon.scored()
    assert asked == 2, "in the next two hours"


def test_a_new_champion_scores_at_once(daemon: Daemon):
    daemon.tick(30)
    daemon.built(COMPONENT_FEATURES, ["2026-03-09"])
    assert daemon.tick() == SCORED
    daemon.scored()
    daemon.tick()
    daemon.built(CHAMPION)
    assert daemon.tick() == SCORED


def test_scores_by_hand_are_published_and_the_refresh_of_scores_asks_for_nothing(daemon: Daemon):
    daemon.built(SCORES)  # the refresh job, every quarter of an hour
    assert daemon.tick() == set()
    daemon.built(PREDICTIONS)
    daemon.built(HEALTH_SCORES)
    assert daemon.tick() == {SCORES, SEARCH}


def test_checks_that_must_speak_up_run_every_hour_whatever_runs(daemon: Daemon):
    assert {key.name for key in daemon.tick(5) if isinstance(key, dg.AssetCheckKey)} == CHECKS, "12:06"
    assert daemon.tick(30) == set()
    assert {key.name for key in daemon.tick(30)} == CHECKS, "13:06"


def test_starting_asks_for_nothing(daemon: Daemon):
    """Whatever is old or missing when the daemon starts waits for its own event."""
    assert daemon.tick() == set()
