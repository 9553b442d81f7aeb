"""What a sender's ledger is compared with, of days that left ClickHouse."""

from datetime import timedelta
from pathlib import Path

import pytest

from cli.archived_records import ArchivedRecords
from tests.warehouse.archive.conftest import Road
from warehouse.archive import identities as archived
from warehouse.archive.errors import DamagedError
from warehouse.day_load import load_days

pytestmark = pytest.mark.integration
DAY = timedelta(1)


def test_the_archive_tells_each_record_of_a_device_once(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, _ = road.fleet.install()
    other, _ = road.fleet.install()
    first, second = road.fleet.day(), road.fleet.day(1)
    rows = [row for day in (first, second) for row in road.fleet.make_rows(mine, day, 40)]
    road.write_and_archive(rows + road.fleet.make_rows(other, first, 7))
    table = archived.identities(road.settings, [mine], first=first, until=second + DAY)
    assert table.schema == archived.SCHEMA
    assert set(table.column("device_id").to_pylist()) == {mine}
    told = {(row["time"], row["event_id"], row["content_hash"]) for row in table.to_pylist()}
    assert len(told) == table.num_rows == len(rows)
    assert told == {(row.time, row.event_id, row.content_hash) for row in rows}

    # as the command asks, which knows no days: the files of other tests lie elsewhere
    monkeypatch.setattr("cli.archived_records.identities", lambda *_, **__: table)
    by_ledger = ArchivedRecords(road.settings, [mine, other], print)
    assert len(by_ledger.identities(mine)) == len(rows)
    assert {int(one["content_hash"]) for one in by_ledger.identities(mine)} == {
        row.content_hash for row in rows
    }
    assert len(by_ledger.identities(other)) == 0


def test_a_day_that_came_back_to_clickhouse_is_not_told_twice(road: Road) -> None:
    imei, _ = road.fleet.install()
    [day] = road.write_and_archive(road.fleet.make_rows(imei, road.fleet.day(), 5))
    load_days(road.settings, day, day + DAY, "back")
    assert archived.identities(road.settings, [imei], first=day, until=day + DAY).num_rows == 0


def test_a_damaged_file_is_named_and_tells_nothing(road: Road) -> None:
    imei, _ = road.fleet.install()
    [day] = road.write_and_archive(road.fleet.make_rows(imei, road.fleet.day(), 5))
    path = Path(road.settings.archive) / road.file(day).key
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=str(day)):
        archived.identities(road.settings, [imei], first=day, until=day + DAY)
