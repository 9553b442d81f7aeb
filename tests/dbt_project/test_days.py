"""Marts on a real ClickHouse: rebuilt by day, swapped by month, tested for what they promise."""

import json
import os
import signal
import subprocess
import threading
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.dbt_project.conftest import FIRST, MARTS, UNTIL, Sandbox, record

pytestmark = pytest.mark.integration

CAR = "WHDBT000000000001"
ADDED_BY_THE_LATE_RECORD = {"int_dtc_days_seen": 1}


def test_the_small_fleet_is_what_it_is(sandbox: Sandbox):
    """36 mph is 16.09344 m/s: 20 minutes are 19,312.128 m; half of a midnight drive counts for each day."""
    found = sandbox.client.query(
        "select date, trip_count, round(distance_m, 3), boundary_source, total_miles "
        f"from {sandbox.database}.vehicle_analytics where vin = '{CAR}' order by date"
    ).result_rows
    drive, half = 19312.128, 9656.064
    assert found == [
        (date(2010, 1, 30), 2, pytest.approx(drive + half, abs=200), "device", 18),
        (date(2010, 1, 31), 2, pytest.approx(2 * drive, abs=0.01), "device", 24),
        (date(2010, 2, 1), 2, pytest.approx(2 * drive, abs=0.01), "device", 24),
        (date(2010, 2, 2), 1, pytest.approx(drive + half, abs=200), "device", 18),
    ]
    # the step over midnight belongs to the new day
    assert found[0][2] + found[3][2] == pytest.approx(2 * drive + 2 * half, abs=0.01)
    assert found[0][2] < found[3][2]


def test_days_run_again_are_the_same_and_nobody_sees_a_part(sandbox: Sandbox):
    before = sandbox.content()
    expected = {name: len(before[name]) for name in ("trips", "vehicle_analytics")}
    seen: list[dict[str, int]] = []
    over = threading.Event()

    def read() -> None:
        from warehouse.clients import clickhouse

        with clickhouse(sandbox.settings) as client:
            while not over.is_set():
                seen.append(
                    {
                        name: client.query(f"select count() from {sandbox.database}.{name}").result_rows[0][0]
                        for name in expected
                    }
                )

    reader = threading.Thread(target=read)
    reader.start()
    try:
        sandbox.build(date(2010, 1, 31), date(2010, 2, 1))
    finally:
        over.set()
        reader.join()
    assert sandbox.content() == before
    assert len(seen) > 20
    assert [counts for counts in seen if counts != expected] == []


def test_a_late_record_changes_its_own_day_only(sandbox: Sandbox):
    before = sandbox.content()
    late = record(
        CAR, datetime(2010, 1, 31, 8, 5, 1, tzinfo=UTC), 77, device_id="350000000000101", speed_mph=90.0,
        stream_position=77, dtc_codes=["P0300"],
    )  # fmt: skip
    sandbox.add([late])
    sandbox.build(date(2010, 1, 31), date(2010, 2, 1))
    after = sandbox.content()
    changed = {name: [row for row in after[name] if row not in before[name]] for name in MARTS}
    for name, rows in changed.items():
        if name == "dtc_episodes":  # the record's code was never seen before
            assert [row[1] for row in rows] == ["P0300"]
            continue
        if name in ADDED_BY_THE_LATE_RECORD:
            assert len(after[name]) == len(before[name]) + ADDED_BY_THE_LATE_RECORD[name], name
        else:
            assert len(after[name]) == len(before[name]), name
        if name == "ftr_component_days":  # what the day says is remembered, never foreseen
            assert rows
            assert min(row[2] for row in rows) == date(2010, 1, 31)
        else:
            assert all(date(2010, 1, 31) in row for row in rows), (name, rows)
    assert len(changed["vehicle_analytics"]) == 1
    assert len(changed["trips"]) == 1


def test_a_run_killed_in_the_middle_leaves_yesterdays_marts_readable(sandbox: Sandbox):
    sandbox.build(FIRST, UNTIL)  # later days remember the late record of the test before
    before = sandbox.content()
    command, environment = sandbox.command(
        "run", "--event-time-start", str(FIRST), "--event-time-end", str(UNTIL)
    )
    query = (
        "select count() from system.tables "
        f"where database = '{sandbox.database}' and name like 'vehicle_analytics__dbt_new_data%'"
    )
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        while process.poll() is None and not sandbox.client.query(query).result_rows[0][0]:
            time.sleep(0.002)
        was_killed = process.poll() is None
        if was_killed:
            os.killpg(process.pid, signal.SIGKILL)
    assert was_killed, "the run ended before it could be killed: nothing was tested"
    assert sandbox.content() == before, "the tests after this one build on what it left behind"


def test_every_mart_test_can_fail(sandbox: Sandbox):
    """One planted fault for each kind of promise; dbt must name the broken test of each."""
    database, insert = sandbox.database, sandbox.client.command
    day = "2010-02-02"
    copies = {
        "trips": {
            "one_row_per_trips": "",
            "assert_trips_of_a_vehicle_never_overlap": "started_at + interval 1 minute as started_at, "
            "'overlaps' as trip_id",
            "trips_average_is_never_above": "toFloat32(200) as avg_speed_mph, started_at + interval 30 day "
            "as started_at, started_at + interval 30 day as ended_at",
            "holds_trips_started_at_ended_at": "ended_at - interval 1 day as ended_at",
            "in_range_trips_distance_m": "-1. as distance_m",
            "accepted_values_trips_origin": "'unheard-of' as origin",
            "relationships_trips_vin": "'WHDBTUNKNOWN00000' as vin",
        },
        "vehicle_analytics": {
            "one_row_per_vehicle_analytics": "",
            "vehicle_analytics_miles_are": "toUInt32(999) as total_miles",
            "vehicle_analytics_speed_is": "toFloat32(1) as avg_speed",
            "vehicle_analytics_without_reports": "toUInt16(3) as hard_brakes",
            "assert_a_vehicle_has_one_origin": "'simulated' as origin",
            "assert_days_count_exactly": "toUInt16(9) as trip_count",
            "assert_speed_and_satellites": "1000000. as distance_m",
            "assert_trips_and_days_share_one_road": "driving_s + 60 as driving_s",
            "assert_days_know_what_devices_report": "true as reports_harsh_events",
            "accepted_values_vehicle_analytics_boundary": "'guess' as boundary_source",
        },
        "harsh_events": {
            "one_row_per_harsh_events": "",
            "harsh_events_lie_in_their_day": "ended_at - interval 1 day as ended_at",
            "harsh_events_that_are_derived": "9. as threshold_g",
            "in_range_harsh_events_peak_g": "9. as peak_g",
            "accepted_values_harsh_events_kind": "'guess' as kind",
            "relationships_harsh_events": "'WHDBTUNKNOWN00000' as vin",
        },
        "dtc_episodes": {
            "one_row_per_dtc_episodes": "",
            "dtc_episodes_end_after": "last_seen_at - interval 1 day as last_seen_at",
            "dtc_episodes_are_active_until": "not is_active as is_active",
            "relationships_dtc_episodes": "'WHDBTUNKNOWN00000' as vin",
        },
        "fuel_and_supply_days": {
            "one_row_per_fuel_and_supply_days": "",
            "fuel_and_supply_days_middles": "99. as rest_v",
            "fuel_and_supply_days_say": "0 as supply_reading_count",
            "relationships_fuel_and_supply_days": "'WHDBTUNKNOWN00000' as vin",
        },
        "vehicle_local_days": {
            "one_row_per_vehicle_local_days": "",
            "vehicle_local_days_begin": "first_started_local - interval 3 day as first_started_local",
            "relationships_vehicle_local_days": "'WHDBTUNKNOWN00000' as vin",
        },
        "vehicle_day_completeness": {
            "one_row_per_vehicle_day_completeness": "",
            "vehicle_day_completeness_counts": "last_recorded_at - interval 3 day as last_recorded_at",
            "in_range_vehicle_day_completeness_completeness": "toFloat32(2) as completeness",
            "relationships_vehicle_day_completeness": "'WHDBTUNKNOWN00000' as vin",
        },
        "odometer_readings": {
            "one_row_per_odometer_readings": "",
            "holds_odometer_readings_toDate": "last_read_at + interval 2 day as last_read_at",
            "relationships_odometer_readings": "'WHDBTUNKNOWN00000' as vin",
            "assert_odometers_do_not_run_back": "first_odometer - 5 as odometer",
        },
        "component_day_signals": {
            "one_row_per_component_day_signals": "",
            "component_day_signals_counts_fit": "toUInt16(3) as crank_count",
            "component_day_signals_voltages_come_with_cranks": "9.5 as crank_min_v",
            "component_day_signals_are_plausible": "-1. as engine_on_s",
            "accepted_values_component_day_signals_source": "'guess' as source",
        },
        "ftr_component_days": {
            "one_row_per_ftr_component_days": "",
            "ftr_component_days_use_nothing_that_was_not_known": "newest_known_at + interval 2 day "
            "as newest_known_at",
            "ftr_component_days_shorter_windows_lie_in_longer_ones": "30. as valid_days_7d",
            "ftr_component_days_volts_are": "41. as rest_v_7d",
            "ftr_component_days_temperatures_are": "-80. as ambient_c_7d",
            "ftr_component_days_figures_are": "1.5 as short_trip_share_28d",
            "assert_features_use_only": "9. as starts_per_day_28d",
            "relationships_ftr_component_days": "'WHDBTUNKNOWN00000' as vin",
        },
    }
    for table, faults in copies.items():
        backup = f"{database}.{table}_backup"
        insert(f"create table {backup} clone as {database}.{table}")
        column = {
            "trips": "start_date", "ftr_component_days": "as_of", "vehicle_local_days": "local_date"
        }.get(table, "date")  # fmt: skip
        where = f"{column} = '{day}'"
        if table == "dtc_episodes":  # all that there is comes from the late record
            where = "true"
        for change in faults.values():
            replaced = f"* replace ({change})" if change else "*"
            insert(f"insert into {database}.{table} select {replaced} from {backup} where {where}")
    tested = sandbox.dbt("test", "--exclude-resource-type", "unit_test")
    for table in copies:
        insert(f"truncate table {database}.{table}")
        insert(f"insert into {database}.{table} select * from {database}.{table}_backup")
        insert(f"drop table {database}.{table}_backup")
    assert tested.returncode == 1
    results = json.loads((sandbox.target / "run_results.json").read_text())["results"]
    broken = {result["unique_id"].split(".")[2] for result in results if result["status"] in ("fail", "warn")}
    for faults in copies.values():
        for name in faults:
            assert any(test.startswith(name) for test in broken), f"{name} did not notice its fault"


def test_a_month_that_became_empty_is_emptied(sandbox: Sandbox):
    """The last test here: it takes February away, as a corrected installation could."""
    sandbox.client.command(
        f"delete from {sandbox.database}.telemetry where time >= '2010-01-31 23:00:00'",
        settings={"mutations_sync": 2},
    )
    sandbox.build(date(2010, 1, 31), UNTIL + timedelta(1))
    for name in MARTS:
        rows = sandbox.rows(name)
        assert rows, name
        if name == "ftr_component_days":  # a vehicle is remembered for a year; what it sent is not
            assert max(row[2] for row in rows) >= date(2010, 2, 2)
            assert max(row[4].date() for row in rows) < date(2010, 2, 1)
        else:
            assert not [row for row in rows if date(2010, 2, 1) in row or date(2010, 2, 2) in row], name
