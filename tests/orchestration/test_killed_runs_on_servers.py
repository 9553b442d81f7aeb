"""A run that dies half-way, and two runs on one month: what readers see, and what becomes of the runs."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from clickhouse_connect.driver.client import Client

from orchestration.home import environment_of, write_home
from orchestration.launch import REPOSITORY, materialize_range
from orchestration.partitions import days_of_tags
from telematics.settings import Settings
from warehouse.clients import clickhouse, timescale

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DAY, NEIGHBOUR = date(2024, 5, 14), date(2024, 5, 16)
"""Of one month, and no other test's."""
VIN, IMEI = "WHKLD000000000001", "353000000000041"
DRIVE_ROWS = 61


def write_drive(settings: Settings, day: date, hour: int) -> None:
    """Ten minutes at 36 mph, six miles, written the way the sink writes."""
    start = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    with timescale(settings) as connection, connection.transaction():
        connection.execute("insert into vehicles (vin) values (%s) on conflict do nothing", [VIN])
        connection.execute("insert into devices (imei) values (%s) on conflict do nothing", [IMEI])
        connection.execute(
            "insert into device_installations (imei, vin) select %s, %s "
            "where not exists (select from device_installations where imei = %s)",
            [IMEI, VIN, IMEI],
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into telemetry (time, device_id, vin, speed_mph, ignition, event_id, received_at, "
                "content_hash, stream_position) values (%s, %s, %s, 36, true, 0, %s, %s, %s)",
                [
                    (moment, IMEI, VIN, moment, hour * 1_000 + n, hour * 1_000 + n)
                    for n in range(DRIVE_ROWS)
                    for moment in [start + timedelta(seconds=10 * n)]
                ],
            )
        connection.execute(
            "insert into hot_days (day, version, row_count, last_written_at) values (%s, 1, %s, now()) "
            "on conflict (day) do update set version = hot_days.version + 1",
            [day, DRIVE_ROWS],
        )


def seen(client: Client, day: date) -> dict[str, tuple[float, ...]]:
    """What a reader finds of the day in telemetry and in two marts."""
    parameters = {"vin": VIN, "day": day.isoformat()}
    return {
        name: tuple(client.query(query, parameters=parameters).result_rows[0])
        for name, query in {
            "telemetry": "select count(), sum(content_hash) from analytics.telemetry "
            "where vin = {vin:String} and toDate(time) = {day:Date}",
            "vehicle_analytics": "select sum(record_count), count() from analytics.vehicle_analytics "
            "where vin = {vin:String} and date = {day:Date}",
            "trips": "select count(), round(sum(distance_m)) from analytics.trips "
            "where vin = {vin:String} and start_date = {day:Date}",
        }.items()
    }


@contextmanager
def watched(settings: Settings, day: date) -> Iterator[dict[str, set[tuple[float, ...]]]]:
    """Everything that a reader who never stops looking finds of the day."""
    found: dict[str, set[tuple[float, ...]]] = {}
    stopped = threading.Event()

    def look() -> None:
        with clickhouse(settings) as client:
            while not stopped.is_set():
                for name, numbers in seen(client, day).items():
                    found.setdefault(name, set()).add(numbers)
                stopped.wait(0.1)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield found
    finally:
        stopped.set()
        reader.join()


def launch(settings: Settings, day: date) -> subprocess.Popen[str]:
    """A run of one day, in a process of its own."""
    arguments = ["--from", day.isoformat(), "--until", (day + timedelta(1)).isoformat()]
    return subprocess.Popen(
        [sys.executable, "-m", "orchestration.launch", *arguments],
        env=environment_of(settings, os.environ), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_until_a_mart_is_being_built(settings: Settings, process: subprocess.Popen[str]) -> None:
    """Return while dbt holds a month aside that it has not swapped in yet."""
    deadline = time.monotonic() + 120
    with clickhouse(settings) as client:
        while time.monotonic() < deadline and process.poll() is None:
            if int(client.command("select count() from system.tables where name like '%__dbt_new_data_%'")):
                return
            time.sleep(0.02)
    pytest.fail("the run ended, or never built anything")


@pytest.fixture
def instance(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The instance that the runs are recorded in."""
    monkeypatch.setenv("PISTON_TIMESCALE_PASSWORD", stack.timescale_password.get_secret_value())
    with dg.DagsterInstance.from_config(str(write_home(stack))) as found:
        yield found


@pytest.fixture
def warm(stack: Settings) -> Iterator[Client]:
    """A client to ClickHouse."""
    with clickhouse(stack) as client:
        yield client


def _spans(instance: dg.DagsterInstance, step: str) -> list[tuple[float, float]]:
    """When the step was at work in the runs of the two days that ended well, in order."""
    spans = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]), limit=2):
        days = days_of_tags(run.tags)
        assert days is not None
        assert days[0] in (DAY, NEIGHBOUR)
        [stats] = instance.get_run_step_stats(run.run_id, [step])
        spans.append((stats.start_time, stats.end_time))
    return sorted(spans)


def test_a_run_that_is_killed_leaves_whole_days_and_two_runs_on_a_month_wait_for_each_other(
    stack: Settings, instance: dg.DagsterInstance, warm: Client
):
    write_drive(stack, DAY, 8)
    materialize_range(stack, DAY, DAY + timedelta(1))
    before = seen(warm, DAY)
    assert before["telemetry"][0] == before["vehicle_analytics"][0] == DRIVE_ROWS
    assert before["trips"] == (1, 9656)

    write_drive(stack, DAY, 12)
    with watched(stack, DAY) as found:
        with launch(stack, DAY) as killed:
            wait_until_a_mart_is_being_built(stack, killed)
            os.kill(killed.pid, signal.SIGKILL)
        after_the_kill = seen(warm, DAY)
        assert after_the_kill["telemetry"][0] == 2 * DRIVE_ROWS, "loaded before dbt began"

        # the next runs close the killed one, which holds the marts' pool, and go one after the other
        write_drive(stack, NEIGHBOUR, 8)
        runs = [launch(stack, DAY), launch(stack, NEIGHBOUR)]
        for run in runs:
            said, _ = run.communicate(timeout=180)
            assert run.returncode == 0, said
    after = seen(warm, DAY)
    assert after["telemetry"][0] == after["vehicle_analytics"][0] == 2 * DRIVE_ROWS
    assert after["trips"] == (2, 19312)
    assert seen(warm, NEIGHBOUR)["vehicle_analytics"] == (DRIVE_ROWS, 1), "neither undid the other's day"
    for name, states in found.items():
        assert states <= {before[name], after[name]}, f"{name}: a reader saw a part of the day"

    failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert [run for run in failed if days_of_tags(run.tags) == (DAY, DAY + timedelta(1))]
    first, second = _spans(instance, "dbt_clickhouse")
    assert first[1] <= second[0], "two runs wrote one month at the same time"
