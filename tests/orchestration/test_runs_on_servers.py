"""Whole runs against the real servers, on days and vehicles that no other test uses."""

import json
import os
import subprocess
import uuid
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
import redis

from orchestration.checks import CHECKS
from orchestration.dbt_assets import day_flags
from orchestration.dbt_manifest import DBT, PROJECT
from orchestration.home import environment_of, home_of
from orchestration.late_days import late_days_sensor
from orchestration.launch import materialize_range
from orchestration.loads import SOURCES, analytics_telemetry
from orchestration.partitions import days_of_tags, range_tags
from orchestration.retention import days_without_hours, telemetry_retention
from telematics import names
from telematics.errors import ConfigurationError
from telematics.settings import Settings
from warehouse.clients import clickhouse, timescale
from warehouse.day_load import load_days

pytestmark = pytest.mark.integration

FIRST, UNTIL = date(2024, 1, 2), date(2024, 1, 4)
"""Right after the first partition, where the late sensor looks first."""
CHECKED = date(2024, 1, 8)
VIN, IMEI = "WHRCH000000000001", "353000000000001"
ROWS_A_DAY = 61


def write_day(settings: Settings, day: date) -> None:
    """A drive of ten minutes at 36 mph, written the way the sink writes."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    with timescale(settings) as connection, connection.transaction():
        connection.execute(
            "insert into vehicles (vin, origin) values (%s, 'simulated') on conflict do nothing", [VIN]
        )
        connection.execute("insert into devices (imei) values (%s) on conflict do nothing", [IMEI])
        connection.execute(
            "insert into device_installations (imei, vin) select %s, %s "
            "where not exists (select from device_installations where imei = %s)",
            [IMEI, VIN, IMEI],
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into telemetry (time, device_id, vin, speed_mph, ignition, odometer, odometer_can_m, "
                "odometer_source, event_id, received_at, content_hash, stream_position) "
                "values (%s, %s, %s, 36, true, %s, %s, 'can', 0, %s, %s, %s)",
                [
                    (moment, IMEI, VIN, 100 + n / 10, 160_934 + n * 161, moment, n, n)
                    for n in range(ROWS_A_DAY)
                    for moment in [noon + timedelta(seconds=10 * n)]
                ],
            )
        connection.execute(
            "insert into hot_days (day, version, row_count, last_written_at) values (%s, 1, %s, now()) "
            "on conflict (day) do update set version = hot_days.version + 1",
            [day, ROWS_A_DAY],
        )


@pytest.fixture(scope="module")
def ranged_run(stack: Settings) -> tuple[list[str], float]:
    """Two days, materialised in one run; the lines that it said and its seconds."""
    for day in (FIRST, FIRST + timedelta(1)):
        write_day(stack, day)
    lines: list[str] = []
    return lines, materialize_range(stack, FIRST, UNTIL, progress=lines.append)


@pytest.fixture
def instance(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """The instance that the runs are recorded in."""
    monkeypatch.setenv("PISTON_TIMESCALE_PASSWORD", stack.timescale_password.get_secret_value())
    return dg.DagsterInstance.from_config(str(home_of(stack)))


def test_a_range_is_one_recorded_run_that_reaches_every_store(
    stack: Settings, ranged_run: tuple[list[str], float], instance: dg.DagsterInstance
):
    lines, seconds = ranged_run
    assert seconds > 0
    assert "2 days from 2024-01-02" in lines[0]
    assert [line for line in lines if "analytics/vehicle_analytics" in line]
    with instance:
        [run] = [run for run in instance.get_runs() if days_of_tags(run.tags) == (FIRST, UNTIL)]
        assert run.status is dg.DagsterRunStatus.SUCCESS
        for key in ("analytics/telemetry", "analytics/vehicle_analytics", "public/telemetry_hourly"):
            done = instance.get_materialized_partitions(dg.AssetKey.from_user_string(key))
            assert {"2024-01-02", "2024-01-03"} <= done, key
    with clickhouse(stack) as warm:
        assert warm.query(
            "select date, trip_count, round(distance_m, 3), avg_speed from analytics.vehicle_analytics "
            "where vin = {vin:String} order by date",
            parameters={"vin": VIN},
        ).result_rows == [(day, 1, 9656.064, 36.0) for day in (FIRST, FIRST + timedelta(1))]
    with timescale(stack) as hot:
        hours = hot.execute(
            "select data_points, round(miles_driven::numeric, 3) from telemetry_hourly where device_id = %s",
            [IMEI],
        ).fetchall()
    assert [(points, float(miles)) for points, miles in hours] == [(61, 6.0), (61, 6.0)]
    with redis.Redis.from_url(stack.valkey_url()) as live:
        assert json.loads(live.get(names.scores_key(VIN)))["odometer"]["source"] == "can"


def _shown(instance: dg.DagsterInstance, key: str) -> dict[str, dict]:
    """Metadata of the newest materialisation of each of the range's days."""
    records = instance.fetch_materializations(dg.AssetKey.from_user_string(key), limit=2).records
    return {
        record.partition_key: {
            name: entry.value for name, entry in record.asset_materialization.metadata.items()
        }
        for record in records
    }


def test_materialisations_tell_rows_bytes_quality_columns_and_lineage(
    ranged_run: tuple[list[str], float], instance: dg.DagsterInstance
):
    """What is about a day stands on that day, what is about the table on the newest of the run's days."""
    with instance:
        telemetry = _shown(instance, "analytics/telemetry")
        marts = _shown(instance, "analytics/vehicle_analytics")
        heard = _shown(instance, "analytics/vehicle_day_completeness")
        hours = _shown(instance, "public/telemetry_hourly")
    for day in ("2024-01-02", "2024-01-03"):
        assert telemetry[day]["dagster/partition_row_count"] == ROWS_A_DAY
        assert telemetry[day]["bytes"] > 0
        assert telemetry[day]["compression_ratio"] > 0
        assert (telemetry[day]["no_fix_share"], telemetry[day]["late_share"]) == (1.0, 0.0)
        assert marts[day]["dagster/partition_row_count"] == 1
        assert hours[day]["dagster/partition_row_count"] == 1
        assert heard[day]["completeness"] == 1.0
    newest, other = marts["2024-01-03"], marts["2024-01-02"]
    assert newest["table_bytes"] > 0
    lineage = newest["dagster/column_lineage"].deps_by_column
    made_from = {dep.asset_key.to_user_string() for dep in lineage["distance_m"]}
    assert made_from == {"analytics/int_trip_days_measured"}
    hourly = hours["2024-01-03"]["dagster/column_lineage"].deps_by_column["bucket"]
    assert {(dep.asset_key.to_user_string(), dep.column_name) for dep in hourly} == {
        ("public/telemetry", "time"),
        ("analytics/telemetry", "bucket"),  # counted there for days that are no longer hot
    }
    described = {column.name: column for column in newest["dagster/column_schema"].columns}
    assert described["date"].type == "Date"
    assert described["date"].description.startswith("UTC day. From ")
    assert "data:image/png;base64," in telemetry["2024-01-03"]["records_by_day"]
    assert not {"dagster/column_lineage", "dagster/column_schema", "records_by_day"} & (
        other.keys() | telemetry["2024-01-02"].keys()
    )


def test_days_that_left_the_hot_tier_keep_their_hours(
    stack: Settings, ranged_run: tuple[list[str], float], tmp_path
):
    """The trap: rebuilt from the few late rows that are hot, a dropped day's hours would shrink to them."""
    with timescale(stack) as hot:
        hot.execute(
            "delete from telemetry where device_id = %s and time between %s and %s",
            [IMEI, datetime(2024, 1, 2, 12, 5, tzinfo=UTC), datetime(2024, 1, 2, 13, tzinfo=UTC)],
        )
        hot.execute("update day_loads set hot_dropped_at = now() where day = %s", [FIRST])
    command = [
        str(DBT), "run", "--target", "timescale", "--project-dir", str(PROJECT),
        "--profiles-dir", str(PROJECT), "--target-path", str(tmp_path), "--log-path", str(tmp_path),
        *day_flags(FIRST, UNTIL),
    ]  # fmt: skip
    subprocess.run(
        command, env=environment_of(stack, os.environ), check=True, cwd=PROJECT, stdout=subprocess.DEVNULL
    )
    with timescale(stack) as hot:
        hours = hot.execute(
            "select data_points from telemetry_hourly where device_id = %s", [IMEI]
        ).fetchall()
    assert hours == [(61,), (61,)]


def test_a_day_written_again_is_asked_for_and_a_day_never_loaded_is_not(
    stack: Settings, ranged_run: tuple[list[str], float], instance: dg.DagsterInstance
):
    late, never_loaded = FIRST + timedelta(1), date(2024, 1, 6)
    with timescale(stack) as hot:
        hot.execute("update hot_days set version = version + 1 where day = %s", [late])
        hot.execute("insert into hot_days values (%s, 1, 1, now()) on conflict do nothing", [never_loaded])
    with instance, dg.build_sensor_context(instance=instance, resources={"settings": stack}) as context:
        requests = late_days_sensor.evaluate_tick(context).run_requests
    asked = [days_of_tags(request.tags) for request in requests]
    assert any(first <= late < until for first, until in asked)
    assert not any(first <= never_loaded < until for first, until in asked)


def test_the_blocking_checks_fail_on_a_planted_fault(stack: Settings):
    """A row of the day twice in ClickHouse: identity is broken, and with it the agreement of the tiers."""
    write_day(stack, CHECKED)
    load_days(stack, CHECKED, CHECKED + timedelta(1), str(uuid.uuid4()))
    assert _failed_checks(stack) == set()
    with clickhouse(stack) as warm:
        warm.command(
            "insert into analytics.telemetry select * from analytics.telemetry "
            f"where vin = '{VIN}' and toDate(time) = '{CHECKED}' limit 1"
        )
    try:
        assert _failed_checks(stack) == {"parity", "unique_identity"}
    finally:
        with clickhouse(stack) as warm:
            warm.command(f"alter table analytics.telemetry drop partition {CHECKED:%Y%m%d}")


def _failed_checks(settings: Settings) -> set[str]:
    """The blocking checks that fail for the day."""
    blocking = [
        check for check in CHECKS if check.get_spec_for_check_key(next(iter(check.check_keys))).blocking
    ]
    job = dg.define_asset_job("checks", selection=dg.AssetSelection.checks(*blocking))
    location = dg.Definitions(
        assets=[*SOURCES, analytics_telemetry],
        asset_checks=CHECKS,
        jobs=[job],
        resources={"settings": settings},
    )
    result = location.resolve_job_def("checks").execute_in_process(
        tags=range_tags(CHECKED, CHECKED + timedelta(1)), raise_on_error=False
    )
    evaluations = result.get_asset_check_evaluations()
    assert {each.check_name for each in evaluations} == {"parity", "unique_identity"}
    assert all(each.blocking for each in evaluations)
    return {each.check_name for each in evaluations if not each.passed}


def test_nothing_is_dropped_while_hours_are_missing(stack: Settings, ranged_run: tuple[list[str], float]):
    """The day was loaded without dbt: its rows are safe in ClickHouse, its hours nowhere."""
    day = date(2024, 1, 12)
    write_day(stack, day)
    load_days(stack, day, day + timedelta(1), str(uuid.uuid4()))
    missing = days_without_hours(stack, before=day + timedelta(1))
    assert day in missing
    assert FIRST + timedelta(1) not in missing, "its hours were built"
    result = dg.materialize(
        [*SOURCES, analytics_telemetry, telemetry_retention],
        selection=[telemetry_retention], resources={"settings": stack}, raise_on_error=False,
    )  # fmt: skip
    assert not result.success
    [failure] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    assert "nothing was dropped" in str(failure.step_failure_data)
    with timescale(stack) as hot:
        kept = hot.execute("select hot_dropped_at from day_loads where day = %s", [day]).fetchone()
    assert kept == (None,)


def test_days_outside_the_partitions_are_refused_with_a_sentence(stack: Settings):
    with pytest.raises(ConfigurationError, match=r"2020-01-01 is no partition.*PISTON_FIRST_DAY"):
        materialize_range(stack, date(2020, 1, 1), date(2020, 1, 2))
