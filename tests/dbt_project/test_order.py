"""Days may be built in any order: once all are, the marts are those of one run over all of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from telematics.settings import Settings
from tests.dbt_project.conftest import (
    FIRST,
    MARTS,
    UNTIL,
    Row,
    Sandbox,
    drive,
    open_sandbox,
    record,
    small_fleet,
)

pytestmark = pytest.mark.integration
DAY = timedelta(1)
MIDNIGHT = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
TRUCK, UNWIRED, TWIN, JOINED = (f"WHDBT{car:012d}" for car in (3, 4, 5, 6))


def joined(first: int, until: int) -> list[Row]:
    """A car without a wire around the second midnight, a record every half minute from minute to minute."""
    midnight = MIDNIGHT + 2 * DAY
    return [
        record(
            JOINED, midnight + timedelta(seconds=30 * half), 6_000_000 + half, device_id="joined",
            ignition=None, odometer_can_m=None,
        )
        for half in range(2 * first, 2 * until)
    ]  # fmt: skip


def hostile() -> list[Row]:
    """A truck that drives 60 hours, a car without a wire that never sleeps, two trackers in one car."""
    rows = [
        record(TRUCK, MIDNIGHT + timedelta(hours=6, minutes=number), 3_000_000 + number, device_id="truck")
        for number in range(60 * 60)
    ]
    rows += [
        record(
            UNWIRED, MIDNIGHT + timedelta(minutes=10 * number), 4_000_000 + number, device_id="unwired",
            ignition=None, speed_mph=36.0 if number % 24 < 5 else 1.0,
        )
        for number in range(6 * 24 * 4)
    ]  # fmt: skip
    rows += joined(-20, -2) + joined(6, 20)
    for device, number in (("first", 5_000_000), ("second", 5_500_000)):
        rows += drive(TWIN, device, MIDNIGHT + timedelta(hours=30), 60, number)
    return rows


@pytest.fixture(scope="module")
def unordered(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with open_sandbox(stack, tmp_path_factory.mktemp("order")) as made:
        made.add(small_fleet() + hostile())
        made.build(FIRST, UNTIL)
        yield made


def test_the_road_of_a_day_and_of_a_trip_are_one(unordered: Sandbox):
    """Per vehicle: kilometres of its days, of its trips, and what it drove; the twin's hour counts once."""

    def metres(table: str) -> dict[str, float]:
        found = unordered.client.query(
            f"select vin, round(sum(distance_m), 1) from {unordered.database}.{table} group by vin"
        )
        return dict(found.result_rows)

    assert metres("trips") == metres("vehicle_analytics")
    assert metres("trips")[TRUCK] == pytest.approx((60 * 60 - 1) * 60 * 36 * 0.44704, abs=1)
    assert metres("trips")[TWIN] == pytest.approx(3600 * 36 * 0.44704, abs=1)
    # five records under way every four hours, ten minutes apart; the first window of the day opens it
    [(trips, chosen)] = unordered.client.query(
        f"select count(), sum(chosen_distance_by = 'position') from {unordered.database}.trips "
        f"where vin = '{UNWIRED}'"
    ).result_rows
    assert (trips, chosen) == (24, 24)
    overlaps = unordered.client.query(
        "select count() from (select vin, started_at, lagInFrame(toNullable(ended_at)) over ("
        "partition by vin order by started_at rows between 1 preceding and current row) as before "
        f"from {unordered.database}.trips) where before > started_at"
    ).result_rows
    assert overlaps == [(0,)]


def test_days_in_any_order_make_the_marts_of_one_run(unordered: Sandbox):
    """Features remember what was known: they are built last, over all days, as before a training."""
    at_once = unordered.content()
    for table in MARTS:
        unordered.client.command(f"truncate table {unordered.database}.{table}")
    for first, until in ((UNTIL - 2 * DAY, UNTIL), (FIRST, FIRST + DAY), (FIRST + DAY, FIRST + 2 * DAY)):
        unordered.build(first, until)
    done = unordered.dbt(
        "run",
        "--select",
        "ftr_component_days",
        "--event-time-start",
        str(FIRST),
        "--event-time-end",
        str(UNTIL),
    )
    assert done.returncode == 0, done.stdout
    shuffled = unordered.content()
    for table in MARTS:
        assert shuffled[table] == at_once[table], table


def test_a_late_buffer_joins_the_trips_of_two_days_and_of_two_months(unordered: Sandbox):
    """Eight silent minutes over midnight; what fills them is of the new day, the trip is of the old one."""

    def trips() -> list[tuple[object, ...]]:
        return unordered.client.query(
            f"select start_date, round(driving_s) from {unordered.database}.trips "
            f"where vin = '{JOINED}' order by started_at"
        ).result_rows  # type: ignore[return-value]  # tuples are sequences

    eve, day = (MIDNIGHT + DAY).date(), (MIDNIGHT + 2 * DAY).date()
    assert trips() == [(eve, 35 * 30), (day, 27 * 30)]
    unordered.add(joined(0, 6))
    unordered.build(day, day + DAY)
    assert trips() == [(eve, 35 * 30 + 39 * 30)]
    counted = unordered.client.query(
        f"select date, trip_count, driving_s from {unordered.database}.vehicle_analytics "
        f"where vin = '{JOINED}' order by date"
    ).result_rows
    assert counted == [(eve, 1, 35 * 30), (day, 0, 39 * 30)]
