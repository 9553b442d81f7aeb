"""Days leave ClickHouse only for a file that was read back, and the ledger says so before they go."""

import json
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client

from telematics.errors import ConfigurationError, UnavailableError
from tests.warehouse.archive.conftest import Road
from tests.warehouse.archive.making import read
from tests.warehouse.conftest import with_changes
from warehouse.archive import checks, layout, sums
from warehouse.archive.archiving import archive_days, due_days, finish_drops
from warehouse.archive.errors import StorageError
from warehouse.archive.storage import open_storage
from warehouse.archive.verification import inspect
from warehouse.day_load import load_days

pytestmark = pytest.mark.integration


def held(warm: Client, day: date) -> int:
    [[count]] = warm.query(
        "select count() from analytics.telemetry where toDate(time, 'UTC') = {day:Date}",
        parameters={"day": day.isoformat()},
    ).result_rows
    return int(count)


def test_an_archived_day_is_a_sorted_parquet_file_with_a_manifest_and_gone_from_clickhouse(
    road: Road, warm: Client, hot: psycopg.Connection
) -> None:
    first, _ = road.fleet.install()
    second, _ = road.fleet.install()
    day = road.fleet.day()
    rows = road.fleet.make_rows(second, day, 40) + road.fleet.make_rows(first, day, 60, dtc_codes=["P0300"])
    [day] = road.write_and_archive(rows)
    assert held(warm, day) == 0
    file = road.file(day)
    assert (file.row_count, file.version, file.is_serving, file.storage_class) == (100, 1, True, "STANDARD")
    path = Path(road.settings.archive) / file.key
    stored = pq.ParquetFile(path)
    keys = [tuple(row[name] for name in layout.ORDER) for row in stored.read().to_pylist()]
    assert keys == sorted(keys)
    assert len(keys) == 100
    vins = stored.metadata.row_group(0).column(stored.schema.names.index("vin"))
    assert vins.compression == "ZSTD"
    assert vins.statistics.has_min_max
    assert vins.bloom_filter_offset is not None
    assert stored.metadata.row_group(0).sorting_columns
    manifest = json.loads((Path(road.settings.archive) / layout.manifest_key(file.key)).read_text())
    assert (manifest["rows"], manifest["sha256"], manifest["bytes"]) == (
        100,
        file.sha256,
        path.stat().st_size,
    )
    assert manifest["min_time"] == f"{day}T00:00:00.000+00:00"
    assert manifest["columns"]["odometer_gnss_m"]["sum"] == 100 * 19868311
    assert manifest["schema_version"] == layout.SCHEMA_VERSION
    assert inspect(open_storage(road.settings), file) is None
    serving = hot.execute(
        "select warm_dropped_at is not null from day_loads where day = %s", [day]
    ).fetchone()
    assert serving == (True,)


def test_clickhouse_and_parquet_add_up_alike_whatever_the_values(road: Road, warm: Client) -> None:
    imei, _ = road.fleet.install()
    day = road.fleet.day()
    plain, odd, none = road.fleet.make_rows(imei, day, 3)
    odd = with_changes(
        odd, lat=-0.0, lng=1e-300, speed_mph=0.1, odometer=1e300, dtc_codes=["P0300", "C0035"],
        raw_data={"text": 'a\tb\\n"\x1fé'}, content_hash=-(2**63), odometer_gnss_m=2**62, ignition=True,
    )  # fmt: skip
    none = with_changes(
        none, lat=None, lng=None, speed_mph=None, heading=None, altitude_ft=None, odometer=None,
        dtc_codes=[], satellites=None, hdop=None, is_valid=None, odometer_gnss_m=None,
        odometer_source=None, content_hash=2**63 - 1,
    )  # fmt: skip
    road.fleet.write([plain, odd, none])
    road.warm_up([day])
    before = sums.of_clickhouse(warm, day)
    assert before.columns["odometer_gnss_m"].sum == 2**62 + 19868311
    assert before.columns["lat"].non_null == 2
    report = road.archive([day])
    assert [done.day for done in report.archived] == [day], report
    stored = read(Path(road.settings.archive) / road.file(day).key)
    assert sums.of_batches([stored]).differences(before) == []
    changed = stored.set_column(
        stored.schema.get_field_index("lat"), stored.schema.field("lat"), [[-0.0, 42.27700000000001, None]]
    )
    assert sums.of_batches([changed]).differences(before) == [], "the order of rows does not matter"
    wrong = stored.set_column(
        stored.schema.get_field_index("lat"), stored.schema.field("lat"), [[0.0, 42.27700000000001, None]]
    )
    assert sums.of_batches([wrong]).differences(before) == ["column lat"], "a single bit does"


def test_days_that_are_not_ready_stay_with_the_reason(road: Road, warm: Client) -> None:
    imei, _ = road.fleet.install()
    days = [road.fleet.day(number) for number in range(3)]
    for day in days:
        road.fleet.write(road.fleet.make_rows(imei, day, 3))
    road.warm_up(days[:2])
    road.fleet.write(road.fleet.make_rows(imei, days[0], 1, start_s=60))
    load_days(road.settings, days[2], days[2] + timedelta(1), "still hot")
    report = road.archive(days)
    assert [done.day for done in report.archived] == [days[1]]
    reasons = {kept.day: kept.reason for kept in report.kept}
    assert reasons == {
        days[0]: "it was written to since its last load",
        days[2]: "TimescaleDB still serves it; hot retention comes first",
    }
    load_days(road.settings, days[0], days[1], "late")
    [kept] = road.archive(days[:1]).kept
    assert kept.reason == "late rows of it are still hot; hot retention comes first"
    assert [held(warm, day) for day in days] == [4, 0, 3]


def test_young_days_are_not_even_looked_at(road: Road) -> None:
    imei, _ = road.fleet.install()
    day = road.fleet.day()
    road.fleet.write(road.fleet.make_rows(imei, day, 3))
    road.warm_up([day])
    assert due_days(road.settings, day, {day}) == []
    assert [found for found, _ in due_days(road.settings, day + timedelta(1), {day})] == [day]
    assert archive_days(road.settings, day + timedelta(5), 5, only={day}).archived == ()


def test_a_day_that_changes_while_it_is_archived_stays(
    road: Road, warm: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse.archive import archiving

    imei, _ = road.fleet.install()
    day = road.fleet.day()
    road.fleet.write(road.fleet.make_rows(imei, day, 3))
    road.warm_up([day])
    read_back = archiving.verification.read_back

    def meanwhile(*arguments, **options):
        read_back(*arguments, **options)
        warm.command(
            "insert into analytics.telemetry select * from analytics.telemetry "
            f"where toDate(time, 'UTC') = '{day}' limit 1"
        )

    monkeypatch.setattr(archiving.verification, "read_back", meanwhile)
    report = road.archive([day])
    assert report.archived == ()
    [fault] = report.faults
    assert "3 rows against 4" in fault.reason
    assert held(warm, day) == 4
    monkeypatch.undo()
    load_days(road.settings, day, day + timedelta(1), "mend")
    assert [done.row_count for done in road.archive([day]).archived] == [3]


def test_a_storage_that_is_full_or_away_costs_nothing_and_the_next_call_goes_on(
    road: Road, warm: Client, tmp_path: Path
) -> None:
    imei, _ = road.fleet.install()
    day = road.fleet.day()
    road.fleet.write(road.fleet.make_rows(imei, day, 3))
    road.warm_up([day])
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    away = road.settings.model_copy(update={"archive_url": str(blocked)})
    with pytest.raises(StorageError, match=r"v0001.*could not be written"):
        archive_days(away, day + timedelta(9), 7, only={day})
    assert issubclass(StorageError, UnavailableError), "Dagster tries it again"
    assert held(warm, day) == 3
    assert [done.row_count for done in road.archive([day]).archived] == [3]
    assert held(warm, day) == 0


def test_what_a_killed_call_left_is_found_and_finished(
    road: Road, warm: Client, hot: psycopg.Connection
) -> None:
    imei, _ = road.fleet.install()
    day = road.fleet.day()
    [day] = road.write_and_archive(road.fleet.make_rows(imei, day, 5))
    before = road.file(day)
    # as if killed between the ledger and the drop: the partition is there, the archive is asked
    load_days(road.settings, day, day + timedelta(1), "back")
    assert held(warm, day) == 5
    hot.execute("update day_loads set warm_dropped_at = now() where day = %s", [day])
    assert day in finish_drops(road.settings, open_storage(road.settings))
    assert held(warm, day) == 0
    # as if killed before the ledger: file and manifest are there, and are taken as they are
    load_days(road.settings, day, day + timedelta(1), "back again")
    hot.execute("update day_loads set archive_version = null where day = %s", [day])
    hot.execute("delete from day_archives where day = %s", [day])
    assert [done.version for done in road.archive([day]).archived] == [1]
    assert road.file(day).key == before.key
    assert len(list((Path(road.settings.archive) / before.key).parent.iterdir())) == 2


def test_rows_that_only_clickhouse_holds_of_an_archived_day_are_kept_and_merged(
    road: Road, warm: Client, hot: psycopg.Connection
) -> None:
    imei, _ = road.fleet.install()
    [day] = road.write_and_archive(road.fleet.make_rows(imei, road.fleet.day(), 5))
    # whoever wrote this did not go by the ledger
    warm.command(
        "insert into analytics.telemetry (time, device_id, event_id, content_hash, received_at) "
        f"values ('{day} 12:00:00', '{imei}', 0, 77, '{day} 12:00:01')"
    )
    assert archive_days(road.settings, day + timedelta(9), 7, only={day}).archived == ()
    assert held(warm, day) == 1, "not what the archive holds: it stays"
    found = checks.archive_parity(road.settings, [day])
    assert not found.passed
    assert "5 rows against 1" in found.description
    assert load_days(road.settings, day, day + timedelta(1), "mend").row_count == 6
    assert [(done.version, done.row_count) for done in road.archive([day]).archived] == [(2, 6)]


def test_a_damaged_file_under_the_key_is_not_overwritten_but_passed_over(road: Road, warm: Client) -> None:
    imei, _ = road.fleet.install()
    [day] = road.write_and_archive(road.fleet.make_rows(imei, road.fleet.day(), 5))
    load_days(road.settings, day, day + timedelta(1), "back")
    path = Path(road.settings.archive) / road.file(day).key
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.write_bytes(damaged)
    assert [done.version for done in road.archive([day]).archived] == [2]
    assert path.read_bytes() == bytes(damaged)
    assert inspect(open_storage(road.settings), road.file(day)) is None
    assert held(warm, day) == 0


def test_a_negative_retention_is_refused(road: Road) -> None:
    with pytest.raises(ConfigurationError, match="PISTON_COLD_RETENTION_DAYS"):
        archive_days(road.settings, road.fleet.day(), -1)
