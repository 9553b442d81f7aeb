"""Copies of the registry's tables in ClickHouse: replaced as a whole, never seen in part."""

import threading
from datetime import UTC, datetime

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.errors import UnavailableError
from tests.stack_fixture import free_ports
from tests.warehouse.conftest import Fleet
from warehouse.clients import clickhouse
from warehouse.reference_copy import copy_reference

pytestmark = pytest.mark.integration


def _counts(client: Client) -> tuple[int, int]:
    [row] = client.query(
        "select (select count() from analytics.vehicles), (select count() from analytics.service_records)"
    ).result_rows
    return row[0], row[1]


def test_a_copy_holds_what_the_registry_holds(fleet: Fleet, hot: psycopg.Connection, warm: Client):
    _, vin = fleet.install(origin="recorded")
    hot.execute("update vehicles set model_year = 2013 where vin = %s", [vin])
    moment = datetime(2024, 6, 1, 23, 30, tzinfo=UTC)
    hot.execute(
        "insert into service_records (vin, component, kind, performed_on, recorded_at, reason) "
        "values (%s, 'battery', 'repair', '2024-05-30', %s, 'unknown')",
        [vin, moment],
    )
    report = copy_reference(fleet.settings)
    assert (report.vehicle_count, report.service_record_count) == _counts(warm)
    found = warm.query(
        "select v.*, s.* except (vin) from analytics.vehicles as v "
        "inner join analytics.service_records as s on s.vin = v.vin where v.vin = {vin:String}",
        parameters={"vin": vin},
    ).result_rows
    assert found == [
        (
            vin, "recorded", None, None, 2013,
            "battery", "repair", moment.date().replace(month=5, day=30), moment.replace(tzinfo=None), None,
            "unknown",
        )
    ]  # fmt: skip
    hot.execute("delete from service_records where vin = %s", [vin])
    assert copy_reference(fleet.settings).service_record_count == report.service_record_count - 1
    assert _counts(warm)[1] == report.service_record_count - 1, "what was taken away there goes here too"


def test_readers_see_a_whole_copy_only(fleet: Fleet, warm: Client):
    for _ in range(20):
        fleet.install()
    copy_reference(fleet.settings)
    expected = _counts(warm)
    seen: set[tuple[int, int]] = set()
    over = threading.Event()

    def read() -> None:
        with clickhouse(fleet.settings) as client:
            while not over.is_set():
                seen.add(_counts(client))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(5):
            copy_reference(fleet.settings)
    finally:
        over.set()
        reader.join()
    assert seen == {expected}


def test_a_copy_that_fails_leaves_the_last_one(fleet: Fleet, warm: Client, hot: psycopg.Connection):
    fleet.install()
    copy_reference(fleet.settings)
    before = _counts(warm)
    fleet.install()
    away = fleet.settings.model_copy(update={"timescale_port": free_ports(1)[0]})
    with pytest.raises(UnavailableError):
        copy_reference(away)
    assert _counts(warm) == before
    # what a killed copy left behind is in nobody's way
    warm.command("create table analytics.vehicles__copy (vin String) engine = MergeTree order by vin")
    assert copy_reference(fleet.settings).vehicle_count == before[0] + 1
    [left] = warm.query(
        "select count() from system.tables where database = 'analytics' and endsWith(name, '__copy')"
    ).result_rows
    assert left == (0,)


def test_an_empty_table_empties_its_copy(fleet: Fleet, warm: Client, hot: psycopg.Connection):
    _, vin = fleet.install()
    hot.execute(
        "insert into service_records (vin, component, kind, performed_on, recorded_at, reason) "
        "values (%s, 'battery', 'repair', '2024-05-30', '2024-06-01Z', 'unknown')",
        [vin],
    )
    copy_reference(fleet.settings)
    assert _counts(warm)[1] > 0
    # other tests' records come back afterwards
    hot.execute("create temporary table kept as select * from service_records")
    hot.execute("delete from service_records")
    try:
        assert copy_reference(fleet.settings).service_record_count == 0
        assert _counts(warm)[1] == 0
    finally:
        hot.execute("insert into service_records overriding system value select * from kept")
        hot.execute("drop table kept")
