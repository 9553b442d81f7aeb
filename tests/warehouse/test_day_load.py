"""Whole days by the merge rule, against the real servers."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from telematics.errors import ConfigurationError, UnavailableError
from telematics.settings import Settings
from tests.warehouse.conftest import Fleet, with_changes
from warehouse import day_load, ledger, merging
from warehouse.clients import clickhouse
from warehouse.day_load import load_days
from warehouse.dirty import dirty_days
from warehouse.retention import drop_merged_days

DAY = timedelta(1)
WarmDay = Callable[[date], list[tuple[Any, ...]]]


@pytest.mark.integration
def test_an_empty_range_is_refused(stack: Settings) -> None:
    with pytest.raises(ConfigurationError, match="until"):
        load_days(stack, date(2026, 1, 2), date(2026, 1, 2), "test")


@pytest.mark.integration
def test_every_column_arrives_unchanged(fleet: Fleet, warm: Client) -> None:
    imei, vin = fleet.install(origin="recorded")
    row, odd = fleet.make_rows(imei, fleet.day(), 2, start_s=86_399.0, step_s=0.999)
    odd = with_changes(
        odd,
        lat=0.1 + 0.2,
        lng=None,
        speed_mph=0.1,
        dtc_codes=["P0300", "C0035"],
        raw_data={"12": 7, "text": 'a\tb\\n"\n'},
        content_hash=-(2**63),
        odometer=1e-7,
    )
    row = with_changes(row, dtc_codes=[], raw_data=None, content_hash=2**63 - 1, satellites=None)
    fleet.write([row, odd])
    load_days(fleet.settings, fleet.day(), fleet.day(1), "test")
    first, second = warm.query(
        "select toUnixTimestamp64Milli(time), device_id, vin, toString(origin), lat, lng, "
        "toString(speed_mph), odometer, dtc_codes, dtc_known, raw_data, content_hash, satellites, "
        "is_valid, ignition, "
        "toUnixTimestamp64Milli(received_at), stream_position, toString(odometer_source), heading "
        "from analytics.telemetry where device_id = {imei:String} order by time",
        parameters={"imei": imei},
    ).result_rows
    assert first == (
        round(row.time.timestamp() * 1000), imei, vin, "recorded", row.lat, row.lng, "45.36",
        row.odometer, [], True, "", 2**63 - 1, None, True, None,
        round(row.received_at.timestamp() * 1000), row.stream_position, "gnss", 90,
    )  # fmt: skip
    assert second[4:10] == (0.1 + 0.2, None, "0.1", 1e-7, ["P0300", "C0035"], True)
    assert json.loads(second[10]) == {"12": 7, "text": 'a\tb\\n"\n'}
    assert second[0] == round(odd.time.timestamp() * 1000)
    assert second[11] == -(2**63)


@pytest.mark.integration
def test_what_a_partner_posted_stays_the_vehicles_it_was_posted_for(fleet: Fleet, warm_day: WarmDay) -> None:
    """It has no installation; each load, of hot rows and of kept ones, must leave it where it is."""
    _, vin = fleet.install(origin="recorded")
    imei, other = fleet.install()
    partner = fleet.let_write(vin)
    rows = [
        *fleet.make_rows(partner, fleet.day(), 2, vin=vin),
        *fleet.make_rows(partner, fleet.day(), 1, vin=other, start_s=9.0),
        *fleet.make_rows(imei, fleet.day(), 1, vin=None),
    ]
    fleet.write(rows)
    for _ in range(2):
        load_days(fleet.settings, fleet.day(), fleet.day(1), "test")
        found = sorted((row[1], row[2], row[3]) for row in warm_day(fleet.day()))
        assert found == sorted(
            [(imei, other, "live"), (partner, "", "live"), *[(partner, vin, "recorded")] * 2]
        )


@pytest.mark.integration
def test_no_trouble_codes_known_is_told_from_none_present(fleet: Fleet, warm_day: WarmDay) -> None:
    imei, _ = fleet.install()
    unknown, none = fleet.make_rows(imei, fleet.day(), 2)
    fleet.write([unknown, with_changes(none, dtc_codes=[])])
    load_days(fleet.settings, fleet.day(), fleet.day(1), "test")
    assert [(row[12], row[-1]) for row in warm_day(fleet.day())] == [([], False), ([], True)]


@pytest.mark.integration
def test_the_copied_columns_are_the_tables_columns(warm: Client, hot: psycopg.Connection) -> None:
    from warehouse import columns, stored
    from warehouse.steps import STEPS

    copied = {column.name for column in columns.COPIED}
    warm_names = {row[0] for row in warm.query("describe analytics.telemetry").result_rows}
    hot_names = {
        name
        for (name,) in hot.execute(
            "select column_name from information_schema.columns "
            "where table_schema = 'public' and table_name = 'telemetry'"
        )
    }
    kept = {stored.STATED, *(step.kept for step in STEPS)}
    assert warm_names == copied | set(columns.RESOLVED) | set(columns.DERIVED) | kept
    assert hot_names == copied | {"vin"}


@pytest.mark.integration
def test_only_the_chunks_of_the_days_asked_for_are_read(fleet: Fleet, hot: psycopg.Connection) -> None:
    imei, _ = fleet.install()
    for number in range(4):
        fleet.write(fleet.make_rows(imei, fleet.day(number), 1))
    hot.execute("set timezone = 'America/Detroit'")  # a zone of the session must not shift the days
    query = merging.hot_rows(day_start(fleet.day(1)), day_start(fleet.day(3)))
    plan = "\n".join(line for (line,) in hot.execute("explain " + query.as_string(hot)))
    assert plan.count("_chunk") >= 2
    assert len({word for word in plan.split() if word.startswith("_hyper_") and word.endswith("_chunk")}) == 2
    times = [row[0] for row in hot.execute(query)]
    assert times == [day_start(fleet.day(1)), day_start(fleet.day(2))]


@pytest.mark.integration
def test_rows_at_both_ends_of_a_day_belong_to_it(fleet: Fleet, warm_day: WarmDay) -> None:
    imei, _ = fleet.install()
    day = fleet.day(1)
    rows = fleet.make_rows(imei, day, 4)
    moments = [day_start(day) - timedelta(milliseconds=1), day_start(day),
               day_start(day) + DAY - timedelta(milliseconds=1), day_start(day) + DAY]  # fmt: skip
    fleet.write([with_changes(row, time=moment) for row, moment in zip(rows, moments, strict=True)])
    report = load_days(fleet.settings, day, day + DAY, "test")
    assert report.row_count == 2
    assert (len(warm_day(day - DAY)), len(warm_day(day)), len(warm_day(day + DAY))) == (0, 2, 0)


@pytest.mark.integration
def test_a_day_without_rows_is_written_down_as_loaded(fleet: Fleet, hot: psycopg.Connection) -> None:
    report = load_days(fleet.settings, fleet.day(), fleet.day(20), "empty")
    assert [load.row_count for load in report.days] == [0] * 20
    found = hot.execute(
        "select count(*), sum(row_count), max(run_id) from day_loads where day >= %s and day < %s",
        [fleet.day(), fleet.day(20)],
    ).fetchone()
    assert found == (20, 0, "empty")


@pytest.mark.integration
def test_a_reload_gives_identical_rows(fleet: Fleet, warm_day: WarmDay) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 50))
    first = load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    before = warm_day(fleet.day())
    second = load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    assert warm_day(fleet.day()) == before
    assert (first.days[0].kept_rows, second.days[0].kept_rows, second.days[0].hot_rows) == (0, 50, 50)


@pytest.mark.integration
def test_a_row_nine_days_late_merges_once_and_dirties_only_its_day(fleet: Fleet, warm_day: WarmDay) -> None:
    imei, _ = fleet.install()
    for number in range(3):
        fleet.write(fleet.make_rows(imei, fleet.day(number), 5))
    load_days(fleet.settings, fleet.day(), fleet.day(3), "one")
    drop_merged_days(fleet.settings, fleet.day(12), 9)
    late = fleet.make_rows(imei, fleet.day(1), 1, start_s=7.5, received_at=day_start(fleet.day(10)))
    fleet.write(late)
    assert dirty_days(fleet.settings, fleet.day(), fleet.day(29)) == [fleet.day(1)]
    report = load_days(fleet.settings, fleet.day(), fleet.day(3), "two", only_dirty=True)
    assert [load.day for load in report.days] == [fleet.day(1)]
    assert report.skipped == (fleet.day(), fleet.day(2))
    assert [len(warm_day(fleet.day(number))) for number in range(3)] == [5, 6, 5]
    assert dirty_days(fleet.settings, fleet.day(), fleet.day(29)) == []
    load_days(fleet.settings, fleet.day(), fleet.day(3), "three")
    assert [len(warm_day(fleet.day(number))) for number in range(3)] == [5, 6, 5]


@pytest.mark.integration
def test_what_a_device_sends_again_after_it_left_the_hot_tier_ends_once(
    fleet: Fleet, hot: psycopg.Connection, warm_day: WarmDay
) -> None:
    imei, _ = fleet.install()
    rows = fleet.make_rows(imei, fleet.day(), 5)
    fleet.write(rows)
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    assert fleet.day() in drop_merged_days(fleet.settings, fleet.day(9), 7).dropped
    before = warm_day(fleet.day())
    again = [with_changes(row, received_at=day_start(fleet.day(15)), stream_position=10**6) for row in rows]
    assert fleet.write(again) == 5, "they are new to the hot tier"
    report = load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    assert (report.days[0].hot_rows, report.days[0].kept_rows, report.days[0].row_count) == (5, 5, 5)
    assert warm_day(fleet.day()) == before, "the first reception stays"
    dropped_at = hot.execute("select hot_dropped_at from day_loads where day = %s", [fleet.day()]).fetchone()
    assert dropped_at is not None
    assert dropped_at[0] is not None, "readers keep asking ClickHouse for this day"


@pytest.mark.integration
def test_a_day_merged_in_parts_has_every_row_once(
    fleet: Fleet, warm_day: WarmDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hot times are finer than ClickHouse's, and a part must not end between a row and its own copy."""
    imei, _ = fleet.install()
    noon = 43_200.0
    rows = fleet.make_rows(imei, fleet.day(), 48, step_s=1_800.0, start_s=0.000_4)
    edge = fleet.make_rows(imei, fleet.day(), 4, start_s=noon - 0.000_2, step_s=0.000_5)
    fleet.write([*rows, *edge[:2]])
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    fleet.write(edge[2:])
    monkeypatch.setattr(day_load, "SLICE_ROWS", 10)
    report = load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    assert report.row_count == len(warm_day(fleet.day())) == len(rows) + len(edge)


@pytest.mark.integration
def test_a_correction_of_hot_rows_reaches_the_warehouse_on_reload(
    fleet: Fleet, hot: psycopg.Connection, warm: Client
) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 2))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    hot.execute("update telemetry set odometer = 7 where device_id = %s", [imei])
    load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    query = "select distinct odometer from analytics.telemetry where device_id = {imei:String}"
    assert warm.query(query, parameters={"imei": imei}).result_rows == [(7.0,)]


@pytest.mark.integration
def test_vin_and_origin_follow_the_installation_at_the_records_time(
    fleet: Fleet, hot: psycopg.Connection, warm_day: WarmDay
) -> None:
    noon = day_start(fleet.day()) + timedelta(hours=12)
    imei, first_vin = fleet.install(origin="recorded", since=noon, until=noon + timedelta(minutes=10))
    fleet.write(fleet.make_rows(imei, fleet.day(), 4, start_s=43_200 - 300, step_s=300))  # 11:55 … 12:10
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    paired = [("", "live"), (first_vin, "recorded"), (first_vin, "recorded"), ("", "live")]
    assert [(row[2], row[3]) for row in warm_day(fleet.day())] == paired
    # found out later: from 12:05 on it sat in another vehicle; the kept rows must follow as well
    assert fleet.day() in drop_merged_days(fleet.settings, fleet.day(9), 7).dropped
    hot.execute(
        "update device_installations set removed_at = %s where vin = %s",
        [noon + timedelta(minutes=5), first_vin],
    )
    _, second_vin = fleet.install(imei, since=noon + timedelta(minutes=5))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    assert [row[2] for row in warm_day(fleet.day())] == ["", first_vin, second_vin, second_vin]


@pytest.mark.integration
def test_readers_never_see_a_part_of_a_day(fleet: Fleet) -> None:
    imei, _ = fleet.install()
    for number in range(2):
        fleet.write(fleet.make_rows(imei, fleet.day(number), 3_000, step_s=10))
    load_days(fleet.settings, fleet.day(), fleet.day(2), "one")
    seen: set[tuple[int, ...]] = set()
    stop = threading.Event()

    def poll() -> None:
        query = (
            "select count() from analytics.telemetry where device_id = {imei:String} group by toDate(time) "
            "order by toDate(time)"
        )
        with clickhouse(fleet.settings) as client:
            while not stop.is_set():
                rows = client.query(query, parameters={"imei": imei}).result_rows
                seen.add(tuple(count for (count,) in rows))

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for number in range(4):
            fleet.write(fleet.make_rows(imei, fleet.day(), 1, start_s=40_000 + number))
            load_days(fleet.settings, fleet.day(), fleet.day(2), f"again {number}")
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 1, "the reader saw the loads happen"
    assert seen <= {(3_000 + late, 3_000) for late in range(5)}


@pytest.mark.integration
def test_a_crash_between_swap_and_ledger_is_mended_by_the_next_load(
    fleet: Fleet, hot: psycopg.Connection, warm: Client, warm_day: WarmDay
) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 5))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    # as a run leaves it that died right after REPLACE PARTITION: the day is there, the ledger knows nothing,
    # staging tables lie about
    hot.execute("delete from day_loads where day = %s", [fleet.day()])
    warm.command("create table analytics.telemetry__dead_0 as analytics.telemetry")
    fleet.write(fleet.make_rows(imei, fleet.day(), 1, start_s=100))
    report = load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    assert (report.days[0].kept_rows, report.row_count, len(warm_day(fleet.day()))) == (5, 6, 6)
    left = "select count() from system.tables where database = 'analytics' and name like 'telemetry\\_\\_%'"
    assert warm.query(left).result_rows == [(0,)]


@pytest.mark.integration
def test_a_version_that_grows_during_the_load_leaves_the_day_dirty(fleet: Fleet) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 5))

    def write_more(_: str) -> None:
        fleet.write(fleet.make_rows(imei, fleet.day(), 1, start_s=500))

    # progress is told after the swap and the ledger of the slice: what comes now is late
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one", progress=write_more)
    assert dirty_days(fleet.settings, fleet.day(), fleet.day(1)) == [fleet.day()]


@pytest.mark.integration
def test_a_day_that_is_not_over_is_provisional_until_it_is(fleet: Fleet, hot: psycopg.Connection) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 2))

    def provisional(at: datetime) -> bool:
        load_days(fleet.settings, fleet.day(), fleet.day(1), "t", clock=lambda: at, only_dirty=True)
        row = hot.execute("select is_provisional from day_loads where day = %s", [fleet.day()]).fetchone()
        assert row is not None
        return bool(row[0])

    assert provisional(day_start(fleet.day()) + timedelta(hours=23))
    assert not provisional(day_start(fleet.day(1)))


@pytest.mark.integration
def test_two_loads_of_the_same_days_take_turns(fleet: Fleet, warm_day: WarmDay) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 200))
    said: list[str] = []
    with ledger.merge_lock(fleet.settings, said.append):
        load = threading.Thread(
            target=load_days,
            args=(fleet.settings, fleet.day(), fleet.day(1), "waiting"),
            kwargs={"progress": said.append},
        )
        load.start()
        load.join(1.0)
        assert load.is_alive()
        assert said == ["another load or retention is moving days; waiting for it to finish"]
        assert warm_day(fleet.day()) == []
    load.join(30)
    assert not load.is_alive()
    assert len(warm_day(fleet.day())) == 200


@pytest.mark.integration
def test_a_load_that_lost_its_lock_swaps_nothing_in_any_more(
    fleet: Fleet, hot: psycopg.Connection, warm_day: WarmDay
) -> None:
    imei, _ = fleet.install()
    early, late = fleet.day(), fleet.first_day + timedelta(day_load.SLICE_DAYS + 1)
    fleet.write(fleet.make_rows(imei, early, 2) + fleet.make_rows(imei, late, 2))

    def take_the_lock_away(_: str) -> None:
        hot.execute(
            "select pg_terminate_backend(pid) from pg_locks "
            "where locktype = 'advisory' and objid = %s and granted and database = "
            "(select oid from pg_database where datname = current_database())",
            [ledger.MERGE_LOCK],
        )

    with pytest.raises(UnavailableError, match="TimescaleDB"):
        load_days(fleet.settings, early, late + DAY, "one", progress=take_the_lock_away)
    assert (len(warm_day(early)), len(warm_day(late))) == (2, 0)


@pytest.mark.integration
def test_the_password_of_timescaledb_never_reaches_clickhouse(fleet: Fleet, warm: Client) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 1))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "secret")
    secret = fleet.settings.timescale_password.get_secret_value()
    warm.command("system flush logs")
    total, with_secret = warm.query(
        "select countIf(query like '%telemetry\\_\\_secret%'), "
        "countIf(position(query, reverse({terces:String})) > 0) from system.query_log",
        parameters={"terces": secret[::-1]},
    ).result_rows[0]
    assert total > 0
    assert with_secret == 0


@pytest.mark.integration
def test_hot_times_with_microseconds_merge_once_at_milliseconds(fleet: Fleet, warm_day: WarmDay) -> None:
    imei, _ = fleet.install()
    (row,) = fleet.make_rows(imei, fleet.day(), 1)
    fleet.write([with_changes(row, time=row.time + timedelta(microseconds=1_999))])
    for run in ("one", "two"):
        load_days(fleet.settings, fleet.day(), fleet.day(1), run)
    (stored,) = warm_day(fleet.day())
    assert stored[0].replace(tzinfo=UTC) == row.time + timedelta(milliseconds=1)
