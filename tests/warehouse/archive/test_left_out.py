"""Days on the real servers whose files leave the odometer out, and days whose files must not."""

import json
import random
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from telematics.units import miles_from_metres
from tests.warehouse.archive.conftest import Road
from tests.warehouse.archive.test_archiving import held
from tests.warehouse.archive.test_derived import make_derivable
from tests.warehouse.conftest import Row, with_changes
from warehouse.archive import derived, layout
from warehouse.archive.storage import open_storage
from warehouse.archive.verification import inspect
from warehouse.day_load import load_days
from warehouse.history import HistoryStores, read

pytestmark = pytest.mark.integration
DAY = timedelta(1)


@pytest.fixture
async def stores(road: Road) -> AsyncIterator[HistoryStores]:
    opened = await HistoryStores.open(road.settings)
    yield opened
    await opened.close()


def make_rows(road: Road, imei: str, day: date) -> list[Row]:
    """Every source, without one, and without its metres; as the sink writes them."""
    chance = random.Random(day.toordinal())
    rows = []
    for number, row in enumerate(road.fleet.make_rows(imei, day, 40)):
        metres = {f"odometer_{name}_m": chance.randrange(10**9) for name in ("gnss", "can", "obd")}
        source = ("gnss", "can", "obd")[number % 3]
        miles = miles_from_metres(metres[f"odometer_{source}_m"])
        changes: dict[str, Any] = metres | {"odometer_source": source, "odometer": miles}
        if number % 7 == 0:
            changes |= {"odometer": None, "odometer_source": None}
        elif number % 5 == 0:
            changes |= {"odometer": None, f"odometer_{source}_m": None}
        rows.append(with_changes(row, **changes))
    return rows


def stored_columns(road: Road, day: date) -> list[str]:
    return list(pq.read_schema(Path(road.settings.archive) / road.file(day).key).names)


async def test_all_tiers_and_a_rebuild_give_what_the_file_leaves_out(
    road: Road, stores: HistoryStores, warm_day: Callable[[date], list[Any]]
) -> None:
    imei, vin = road.fleet.install()
    day = road.fleet.day()
    road.fleet.write(make_rows(road, imei, day))
    span = day_start(day), day_start(day + DAY)
    hot = await read(stores, vin, *span)
    road.warm_up([day])
    warm = warm_day(day)
    assert road.archive([day]).archived
    assert "odometer" not in stored_columns(road, day)
    manifest = json.loads(open_storage(road.settings).read(layout.manifest_key(road.file(day).key)))
    assert list(manifest["derived"]) == ["odometer"]
    archived = await read(stores, vin, *span)
    assert (archived.tiers, archived.records) == (("archive",), hot.records)
    assert {record["odometer"] is None for record in hot.records} == {True, False}
    alone = await read(stores, vin, *span, fields=["odometer"])
    assert list(alone.records) == [{"odometer": record["odometer"]} for record in hot.records]
    assert inspect(open_storage(road.settings), road.file(day)) is None
    load_days(road.settings, day, day + DAY, "rebuild")
    assert warm_day(day) == warm
    assert [done.version for done in road.archive([day]).archived] == [1], "the same bytes"


async def test_a_day_with_one_word_of_a_partner_keeps_the_column(road: Road, stores: HistoryStores) -> None:
    imei, vin = road.fleet.install()
    partner = road.fleet.let_write(vin)
    day = road.fleet.day()
    said = {"odometer": 12_345.6, "odometer_source": "partner", "odometer_gnss_m": None, "vin": vin}
    road.write_and_archive(
        [*make_rows(road, imei, day), *road.fleet.make_rows(partner, day, 1, start_s=99, **said)]
    )
    assert "odometer" in stored_columns(road, day)
    page = await read(stores, vin, day_start(day), day_start(day + DAY))
    assert (len(page.records), page.records[-1]["odometer"]) == (41, 12_345.6)


@pytest.mark.parametrize("checks_rows", [True, False])
def test_a_day_that_was_wrongly_found_derivable_stays_in_clickhouse(
    road: Road, warm: Client, monkeypatch: pytest.MonkeyPatch, checks_rows: bool
) -> None:
    imei, _ = road.fleet.install()
    day = road.fleet.day()
    odd = with_changes(make_rows(road, imei, day)[1], odometer=1.5)
    road.fleet.write([odd])
    road.warm_up([day])
    monkeypatch.setattr(derived, "CLICKHOUSE_DIFFERING", "0")
    if not checks_rows:
        monkeypatch.setattr(derived, "is_derivable", lambda _: True)
    report = road.archive([day])
    [fault] = report.faults
    assert (report.archived, held(warm, day)) == ((), 1)
    assert "a row's odometer is not what its metres say" in fault.reason or not checks_rows
    assert "differs from its manifest in column odometer" in fault.reason or checks_rows
    monkeypatch.undo()
    assert [done.row_count for done in road.archive([day]).archived] == [1]
    assert "odometer" in stored_columns(road, day)


def test_a_day_that_is_loaded_again_while_it_is_looked_at_is_no_fault(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    imei, _ = road.fleet.install()
    day = road.fleet.day()
    road.fleet.write([with_changes(make_rows(road, imei, day)[1], odometer=1.5)])
    road.warm_up([day])
    monkeypatch.setattr(derived, "CLICKHOUSE_DIFFERING", "0")
    found = derived.is_derivable

    def meanwhile(rows: Any) -> bool:
        load_days(road.settings, day, day + DAY, "meanwhile")
        return found(rows)

    monkeypatch.setattr(derived, "is_derivable", meanwhile)
    [kept] = road.archive([day]).kept
    assert kept.reason == "it was loaded again while it was archived"


def test_clickhouse_finds_the_very_rows_that_are_not_derivable(warm: Client) -> None:
    rows = make_derivable(20_000, seed=7)
    miles = rows.column("odometer").to_pylist()
    empty = miles.index(None)
    less, none, no_number, negative = [number for number, value in enumerate(miles) if value][5:9]
    changed = list(miles)
    changed[less] = float(np.nextafter(miles[less], 0))
    changed[none] = None
    changed[no_number] = float("nan")
    changed[negative] = -miles[negative]
    changed[empty] = 0.0
    place = rows.schema.get_field_index("odometer")
    planted = rows.set_column(place, rows.schema.field(place), [changed])
    odd = sorted([less, none, no_number, negative, empty])
    table = "analytics.test_derived"
    warm.command(f"create or replace table {table} as analytics.telemetry engine = Memory")
    try:
        for content, wanted in ((rows, []), (planted, odd)):
            warm.command(f"truncate table {table}")
            warm.insert_arrow(table, content)
            found = warm.query(
                f"select content_hash from {table} where {derived.CLICKHOUSE_DIFFERING} order by content_hash"
            ).result_rows
            assert [hash_ for (hash_,) in found] == wanted
    finally:
        warm.command(f"drop table {table}")
