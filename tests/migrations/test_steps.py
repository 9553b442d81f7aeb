"""Rows of a release that kept measured numbers as they are read come through the change, and back."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from migrations import apply
from migrations.clickhouse import apply as clickhouse
from telematics.settings import Settings
from warehouse.columns import COPIED, RESOLVED

pytestmark = pytest.mark.integration

BEFORE, AFTER = 4, 5
ROWS = 5000


@pytest.fixture
def warm(own_stack: Settings) -> Iterator[Client]:
    apply.upgrade(own_stack)
    client = clickhouse._connect(own_stack)
    yield client
    client.command("truncate table analytics.telemetry")
    client.close()


def content(client: Client) -> list[tuple[object, ...]]:
    """Every row by the names that it is read by; floating-point numbers as their bits."""
    names = [*(column.name for column in COPIED), *RESOLVED, "dtc_known"]
    floats = {column.name for column in COPIED if "Float" in column.wire_type}
    read = ", ".join(
        f"isNull({name}), hex(reinterpretAsString(ifNull({name}, 0)))" if name in floats else name
        for name in names
    )
    found = client.query(f"select {read} from analytics.telemetry order by content_hash")
    return [tuple(row) for row in found.result_rows]


def test_rows_are_the_same_after_the_step_and_after_the_step_back(own_stack: Settings, warm: Client) -> None:
    clickhouse.migrate(own_stack, BEFORE)
    warm.command(
        "insert into analytics.telemetry (time, device_id, vin, origin, lat, lng, speed_mph, altitude_ft, "
        "battery_v, hdop, odometer, odometer_can_m, odometer_source, content_hash, received_at) "
        "select toDateTime64('2020-01-01', 3, 'UTC') + toIntervalMinute(5 * number), 'd', 'v', 'live', "
        "if(number % 5 = 0, null, (number - 2000) * 1234 / 1e7), 181 * sin(number), "
        "number * 1000 / 1609.344, number / 3, number / 1000, number / 10, "
        "if(number % 7 = 0, 5, number / 1609.344), number, "
        f"if(number % 3 = 0, null, 'can'), number, now64(3) from numbers({ROWS})",
        settings={"max_partitions_per_insert_block": 0},
    )
    before = content(warm)
    assert len(before) == ROWS
    clickhouse.migrate(own_stack, AFTER)
    assert content(warm) == before
    kept, stated = warm.query(
        "select count(speed_kph), countIf(mapContains(stated, 'lng')) from analytics.telemetry"
    ).result_rows[0]
    assert kept == ROWS
    assert stated > ROWS / 2, "a sine has more digits than a device"
    clickhouse.migrate(own_stack, BEFORE)
    assert content(warm) == before


def test_a_step_that_died_begins_anew(own_stack: Settings, warm: Client) -> None:
    """Before its last line was written down, whether the tables were exchanged or not."""
    warm.command(
        "insert into analytics.telemetry (time, lat_e7, content_hash) values ('2020-01-01', 422876128, 1)"
    )
    before = content(warm)
    warm.command(f"delete from analytics.schema_migrations where number = {AFTER}")
    warm.command("create table analytics.telemetry_of_steps as analytics.telemetry")
    assert clickhouse.migrate(own_stack, AFTER)[1] == AFTER
    assert content(warm) == before
