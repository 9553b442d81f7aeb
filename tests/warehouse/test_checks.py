"""Each check passes on sound data and fails on the fault it is there for."""

from datetime import UTC, date, datetime, timedelta

import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from tests.warehouse.conftest import Fleet
from warehouse import checks
from warehouse.day_load import load_days

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_fleet_without_live_devices_is_fresh() -> None:
    result = checks.judge_freshness(0, None, NOW, HOUR)
    assert result.passed
    assert "no live device" in result.description


def test_live_devices_never_heard_are_not_fresh() -> None:
    assert not checks.judge_freshness(3, None, NOW, HOUR).passed


def test_freshness_ends_at_the_threshold() -> None:
    assert checks.judge_freshness(3, NOW - HOUR, NOW, HOUR).passed
    stale = checks.judge_freshness(3, NOW - HOUR - timedelta(seconds=1), NOW, HOUR)
    assert not stale.passed
    assert stale.numbers["age_s"] == 3601


@pytest.mark.parametrize(
    ("rows", "passed"), [(0, False), (199, False), (200, True), (5000, True), (5001, False)]
)
def test_volume_is_within_the_factor_of_the_median(rows: int, passed: bool) -> None:
    assert checks.judge_volume(rows, [10, 1000, 100_000], 5.0).passed is passed


def test_the_first_day_has_nothing_to_compare_with() -> None:
    assert checks.judge_volume(0, [], 5.0).passed


@pytest.mark.integration
def test_fresh_hears_live_devices_only(fleet: Fleet) -> None:
    at = day_start(fleet.day(1))
    recorded, _ = fleet.install(origin="recorded", since=at - HOUR, until=at + HOUR)
    fleet.write(fleet.make_rows(recorded, fleet.day(), 1, start_s=86_000, received_at=at))

    def result() -> checks.CheckResult:
        return checks.fresh(fleet.settings, clock=lambda: at, silent_after=timedelta(minutes=10))

    before = result()
    live, _ = fleet.install(since=at - HOUR, until=at + HOUR)
    assert not result().passed, "a live device that was never heard"
    heard = at - timedelta(minutes=9)
    fleet.write(fleet.make_rows(live, fleet.day(), 1, start_s=85_000, received_at=heard))
    after = result()
    assert after.passed
    assert after.numbers["newest_received_at"] == heard.isoformat()
    live_before, live_after = before.numbers["live_devices"], after.numbers["live_devices"]
    assert isinstance(live_before, int)
    assert live_after == live_before + 1


@pytest.mark.integration
def test_volume_fails_on_a_day_that_is_almost_empty(fleet: Fleet) -> None:
    imei, _ = fleet.install()
    for number, count in enumerate([10, 12, 11, 10, 1]):
        fleet.write(fleet.make_rows(imei, fleet.day(number), count))
    load_days(fleet.settings, fleet.day(), fleet.day(5), "one")
    assert checks.volume(fleet.settings, fleet.day(3), window_days=4).passed
    short = checks.volume(fleet.settings, fleet.day(4), window_days=4)
    assert not short.passed
    assert (short.numbers["row_count"], short.numbers["median"]) == (1, 10.5)
    assert not checks.volume(fleet.settings, fleet.day(5), window_days=4).passed, "an empty day"


@pytest.mark.integration
def test_no_future_fails_on_a_clock_that_runs_ahead(fleet: Fleet) -> None:
    imei, _ = fleet.install()
    ahead = date(2099, 12, 30)
    before = checks.no_future(fleet.settings, clock=lambda: datetime(2099, 12, 28, tzinfo=UTC))
    fleet.write(fleet.make_rows(imei, ahead, 1))
    late = checks.no_future(fleet.settings, clock=lambda: datetime(2099, 12, 29, 1, tzinfo=UTC))
    assert late.passed, "within the tolerance of a day"
    early = checks.no_future(fleet.settings, clock=lambda: datetime(2099, 12, 28, tzinfo=UTC))
    assert before.passed
    assert not early.passed
    assert (early.numbers["hot_rows"], early.numbers["warm_rows"]) == (1, 0)
    load_days(fleet.settings, ahead, ahead + timedelta(1), "one")
    loaded = checks.no_future(fleet.settings, clock=lambda: datetime(2099, 12, 28, tzinfo=UTC))
    assert loaded.numbers["warm_rows"] == 1


@pytest.mark.integration
def test_unique_identity_fails_on_a_row_inserted_twice_and_a_load_mends_it(
    fleet: Fleet, warm: Client
) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 5))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    assert checks.unique_identity(fleet.settings, fleet.day(), fleet.day(1)).passed
    warm.command(
        "insert into analytics.telemetry select * from analytics.telemetry "
        f"where device_id = '{imei}' and time < '{fleet.day()} 00:00:02'"
    )
    doubled = checks.unique_identity(fleet.settings, fleet.day(), fleet.day(1))
    assert not doubled.passed
    assert doubled.numbers["surplus_rows"] == 2
    load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    assert checks.unique_identity(fleet.settings, fleet.day(), fleet.day(1)).passed
