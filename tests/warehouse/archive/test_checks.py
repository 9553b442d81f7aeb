"""Each check of the archive passes on sound days and fails on the fault it is there for."""

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from tests.warehouse.archive.conftest import Road
from warehouse.archive import checks, layout
from warehouse.day_load import load_days

pytestmark = pytest.mark.integration
DAY = timedelta(1)


@pytest.fixture
def alone(hot: psycopg.Connection) -> None:
    """Other tests' days lie in folders that are gone: take them out of the ledger."""
    hot.execute("update day_loads set warm_dropped_at = null, archive_version = null")
    hot.execute("delete from day_archives")


@pytest.mark.usefixtures("alone")
def test_parity_fails_on_a_changed_value_and_on_a_missing_row(road: Road, warm: Client) -> None:
    imei, _ = road.fleet.install()
    [day] = road.write_and_archive(road.fleet.make_rows(imei, road.fleet.day(), 9))
    assert checks.archive_parity(road.settings).numbers["days"] == 0
    load_days(road.settings, day, day + DAY, "back")
    same = checks.archive_parity(road.settings)
    assert (same.passed, same.numbers["days"]) == (True, 1)
    here = f"device_id = '{imei}' and time >= '{day} 00:00:08' and time < '{day + DAY} 00:00:00'"
    warm.command(
        f"alter table analytics.telemetry update heading = 1 where {here} settings mutations_sync = 2"
    )
    changed = checks.archive_parity(road.settings)
    assert not changed.passed
    assert "column heading" in changed.description
    warm.command(f"alter table analytics.telemetry delete where {here} settings mutations_sync = 2")
    fewer = checks.archive_parity(road.settings, [day])
    assert not fewer.passed
    assert "9 rows against 8" in fewer.description
    assert checks.archive_parity(road.settings, [day + DAY]).passed


@pytest.mark.usefixtures("alone")
def test_parity_bears_late_rows_and_corrected_vehicles(road: Road, hot: psycopg.Connection) -> None:
    imei, _ = road.fleet.install()
    _, right = road.fleet.install()
    days = road.write_and_archive(
        [row for number in range(2) for row in road.fleet.make_rows(imei, road.fleet.day(number), 3)]
    )
    road.fleet.write(road.fleet.make_rows(imei, days[0], 1, start_s=60))
    hot.execute("update device_installations set vin = %s where imei = %s", [right, imei])
    load_days(road.settings, days[0], days[1] + DAY, "back")
    found = checks.archive_parity(road.settings)
    assert (found.passed, found.numbers["days"]) == (True, 2)


@pytest.mark.usefixtures("alone")
def test_complete_fails_without_a_file_without_a_manifest_and_with_another_count(
    road: Road, hot: psycopg.Connection
) -> None:
    imei, _ = road.fleet.install()
    days = road.write_and_archive(
        [row for number in range(3) for row in road.fleet.make_rows(imei, road.fleet.day(number), 3)]
    )
    whole = checks.archive_complete(road.settings)
    assert (whole.passed, whole.numbers["days"], whole.numbers["rows"]) == (True, 3, 9)
    (Path(road.settings.archive) / road.file(days[1]).key).unlink()
    assert checks.archive_complete(road.settings).numbers["days_without_file"] == 1
    (Path(road.settings.archive) / layout.manifest_key(road.file(days[2]).key)).unlink()
    lacking = checks.archive_complete(road.settings)
    assert not lacking.passed
    assert lacking.numbers["days_without_file"] == 2
    hot.execute("update day_loads set row_count = 4 where day = %s", [days[0]])
    wrong = checks.archive_complete(road.settings)
    assert wrong.numbers["days_with_other_counts"] == 1
    assert str(days[0]) in wrong.description


@pytest.mark.usefixtures("alone")
def test_sound_finds_every_damaged_file_in_turn_and_one_that_is_mended(road: Road) -> None:
    imei, _ = road.fleet.install()
    days = road.write_and_archive(
        [row for number in range(3) for row in road.fleet.make_rows(imei, road.fleet.day(number), 3)]
    )
    assert checks.archive_sound(road.settings).numbers["files_read"] == 3
    path = Path(road.settings.archive) / road.file(days[1]).key
    content = path.read_bytes()
    path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    outcomes = [checks.archive_sound(road.settings, count=1) for _ in days]
    assert [outcome.passed for outcome in outcomes] == [True, False, True]
    assert path.name in outcomes[1].description
    assert checks.archive_complete(road.settings).numbers["damaged_days"] == 1
    path.write_bytes(content)
    assert checks.archive_sound(road.settings).passed
    assert road.file(days[1]).damage is None
