"""Hot rows go only when they are proven to be merged."""

import threading
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from telematics.errors import ConfigurationError
from tests.warehouse.conftest import Fleet, write_rows
from warehouse.clients import timescale
from warehouse.day_load import load_days
from warehouse.retention import RetentionReport, drop_merged_days

pytestmark = pytest.mark.integration


def hot_count(connection: psycopg.Connection, day: date) -> int:
    row = connection.execute(
        "select count(*) from telemetry where time >= %s and time < %s",
        [day_start(day), day_start(day + timedelta(1))],
    ).fetchone()
    assert row is not None
    return int(row[0])


def reason(report: RetentionReport, day: date) -> str:
    return next(kept.reason for kept in report.kept if kept.day == day)


def test_merged_days_past_retention_go_and_younger_ones_stay(
    fleet: Fleet, hot: psycopg.Connection, warm_day: Callable[[date], list[Any]]
) -> None:
    imei, _ = fleet.install()
    for number in range(3):
        fleet.write(fleet.make_rows(imei, fleet.day(number), 4))
    load_days(fleet.settings, fleet.day(), fleet.day(3), "one")
    report = drop_merged_days(fleet.settings, fleet.day(9), 7)
    assert {fleet.day(), fleet.day(1)} <= set(report.dropped)
    assert [hot_count(hot, fleet.day(number)) for number in range(3)] == [0, 0, 4]
    marked = hot.execute(
        "select day from day_loads where hot_dropped_at is not null and day >= %s and day < %s order by day",
        [fleet.day(), fleet.day(3)],
    ).fetchall()
    assert marked == [(fleet.day(),), (fleet.day(1),)]
    chunks = hot.execute(
        "select count(*) from timescaledb_information.chunks where range_start >= %s and range_start < %s",
        [day_start(fleet.day()), day_start(fleet.day(2))],
    ).fetchone()
    assert chunks == (0,), "the chunks are gone, not only their rows"
    assert [len(warm_day(fleet.day(number))) for number in range(3)] == [4, 4, 4]


def test_a_day_never_loaded_stays_with_the_reason(fleet: Fleet, hot: psycopg.Connection) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 4))
    report = drop_merged_days(fleet.settings, fleet.day(9), 7)
    assert reason(report, fleet.day()) == "it was never loaded into ClickHouse"
    assert hot_count(hot, fleet.day()) == 4


def test_a_day_written_since_its_load_stays_with_the_reason(fleet: Fleet, hot: psycopg.Connection) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 4))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    fleet.write(fleet.make_rows(imei, fleet.day(), 1, start_s=60))
    report = drop_merged_days(fleet.settings, fleet.day(9), 7)
    assert reason(report, fleet.day()) == "it was written to since its last load"
    assert hot_count(hot, fleet.day()) == 5


def test_a_ledger_that_is_wrong_costs_no_row(fleet: Fleet, hot: psycopg.Connection, warm: Client) -> None:
    imei, _ = fleet.install()
    for number in range(2):
        fleet.write(fleet.make_rows(imei, fleet.day(number), 4))
    load_days(fleet.settings, fleet.day(), fleet.day(2), "one")
    warm.command(f"alter table analytics.telemetry drop partition {fleet.day():%Y%m%d}")
    report = drop_merged_days(fleet.settings, fleet.day(9), 7)
    assert reason(report, fleet.day()).startswith("4 of its rows are not in ClickHouse")
    assert fleet.day(1) in report.dropped
    assert hot_count(hot, fleet.day()) == 4
    load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    assert fleet.day() in drop_merged_days(fleet.settings, fleet.day(9), 7).dropped


def test_a_late_row_of_a_dropped_day_goes_again_once_it_is_merged(
    fleet: Fleet, hot: psycopg.Connection, warm_day: Callable[[date], list[Any]]
) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 4))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    assert fleet.day() in drop_merged_days(fleet.settings, fleet.day(9), 7).dropped
    fleet.write(fleet.make_rows(imei, fleet.day(), 1, start_s=60))
    assert fleet.day() not in drop_merged_days(fleet.settings, fleet.day(9), 7).dropped
    load_days(fleet.settings, fleet.day(), fleet.day(1), "two")
    assert fleet.day() in drop_merged_days(fleet.settings, fleet.day(9), 7).dropped
    assert (hot_count(hot, fleet.day()), len(warm_day(fleet.day()))) == (0, 5)


def test_it_waits_for_a_writer_and_then_sees_that_the_day_changed(
    fleet: Fleet, hot: psycopg.Connection
) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 4))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    reports: list[RetentionReport] = []
    with timescale(fleet.settings, autocommit=False) as writer:
        with writer.transaction():
            # the writer's rows are not to be seen yet, neither is the new version
            write_rows(writer, fleet.make_rows(imei, fleet.day(), 1, start_s=60))
            retention = threading.Thread(
                target=lambda: reports.append(drop_merged_days(fleet.settings, fleet.day(9), 7))
            )
            retention.start()
            retention.join(1.0)
            assert retention.is_alive(), "the writer holds it up"
        retention.join(30)
    assert "written to just now" in reason(reports[0], fleet.day())
    assert hot_count(hot, fleet.day()) == 5


def test_a_long_read_of_an_old_day_postpones_it_and_blocks_nobody(
    fleet: Fleet, hot: psycopg.Connection
) -> None:
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 4))
    load_days(fleet.settings, fleet.day(), fleet.day(1), "one")
    with timescale(fleet.settings, autocommit=False) as reader:
        assert hot_count(reader, fleet.day()) == 4  # its transaction stays open and holds the chunk
        report = drop_merged_days(fleet.settings, fleet.day(9), 7)
        assert "being read or written" in reason(report, fleet.day())
    assert hot_count(hot, fleet.day()) == 4
    assert fleet.day() in drop_merged_days(fleet.settings, fleet.day(9), 7).dropped


def test_a_negative_retention_is_refused(fleet: Fleet) -> None:
    with pytest.raises(ConfigurationError, match="PISTON_HOT_RETENTION_DAYS"):
        drop_merged_days(fleet.settings, fleet.day(), -1)
