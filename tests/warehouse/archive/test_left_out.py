"""Days on the real servers whose files have shorter forms of columns, and days whose files must not."""

import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from telematics.units import miles_from_metres
from tests.warehouse.archive.conftest import Road
from tests.warehouse.archive.making import EVERY, make_sent, sent
from tests.warehouse.archive.test_archiving import held
from tests.warehouse.conftest import Row, with_changes
from tests.warehouse.planting import rows_to_store
from warehouse.archive import derived, layout
from warehouse.archive.storage import open_storage
from warehouse.archive.verification import inspect
from warehouse.day_load import load_days
from warehouse.history import HistoryStores, read
from warehouse.steps import STEPS
from warehouse.stored import NULL_ODOMETER

pytestmark = pytest.mark.integration
DAY = timedelta(1)
SHORT = [*EVERY, "odometer"]


@pytest.fixture
async def stores(road: Road) -> AsyncIterator[HistoryStores]:
    opened = await HistoryStores.open(road.settings)
    yield opened
    await opened.close()


def make_rows(road: Road, imei: str, day: date) -> list[Row]:
    """Numbers of devices; every odometer, without one, and without its metres; as the sink writes them."""
    chance = random.Random(day.toordinal())
    rows = []
    for number, row in enumerate(road.fleet.make_rows(imei, day, 40)):
        metres = {f"odometer_{name}_m": chance.randrange(10**9) for name in ("gnss", "can", "obd")}
        source = ("gnss", "can", "obd")[number % 3]
        miles = miles_from_metres(metres[f"odometer_{source}_m"])
        measured = {name: value for name, value in sent(chance).items() if hasattr(row, name)}
        changes: dict[str, Any] = measured | metres | {"odometer_source": source, "odometer": miles}
        if number % 7 == 0:
            changes |= {"odometer": None, "odometer_source": None, "lat": None, "lng": None, "hdop": None}
        elif number % 5 == 0:
            changes |= {"odometer": None, f"odometer_{source}_m": None, "speed_mph": None}
        rows.append(with_changes(row, **changes))
    return rows


def stored_columns(road: Road, day: date) -> list[str]:
    return list(pq.read_schema(Path(road.settings.archive) / road.file(day).key).names)


def kept_whole(road: Road, day: date) -> list[str]:
    """Columns that might be shorter and are as they are."""
    return [name for name in SHORT if name in stored_columns(road, day)]


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
    assert kept_whole(road, day) == []
    assert {step.kept for step in STEPS} <= set(stored_columns(road, day))
    manifest = json.loads(open_storage(road.settings).read(layout.manifest_key(road.file(day).key)))
    assert list(manifest["derived"]) == SHORT
    archived = await read(stores, vin, *span)
    assert (archived.tiers, archived.records) == (("archive",), hot.records)
    assert {record["odometer"] is None for record in hot.records} == {True, False}
    names = ["odometer", "speed_mph"]
    alone = await read(stores, vin, *span, fields=names)
    assert list(alone.records) == [{name: record[name] for name in names} for record in hot.records]
    assert inspect(open_storage(road.settings), road.file(day)) is None
    load_days(road.settings, day, day + DAY, "rebuild")
    assert warm_day(day) == warm
    assert [done.version for done in road.archive([day]).archived] == [1], "the same bytes"


async def test_a_partners_words_keep_their_columns_and_no_others(
    road: Road, stores: HistoryStores, warm_day: Callable[[date], list[Any]]
) -> None:
    imei, vin = road.fleet.install()
    partner = road.fleet.let_write(vin)
    day = road.fleet.day()
    metres = {f"odometer_{name}_m": None for name in ("gnss", "can", "obd")}
    said = {"odometer": 12_345.6, "odometer_source": "partner", "vin": vin, "lng": -83.7381234567}
    numbers = sent(random.Random(3))
    said = {name: numbers[name] for name in ("lat", "speed_mph", "altitude_ft", "hdop")} | metres | said
    road.fleet.write(
        [*make_rows(road, imei, day), *road.fleet.make_rows(partner, day, 1, start_s=99, **said)]
    )
    road.warm_up([day])
    warm = warm_day(day)
    assert road.archive([day]).archived
    assert kept_whole(road, day) == ["lng", "odometer"]
    page = await read(stores, vin, day_start(day), day_start(day + DAY))
    last = page.records[-1]
    assert (len(page.records), last["odometer"], last["lng"]) == (41, 12_345.6, -83.7381234567)
    load_days(road.settings, day, day + DAY, "rebuild")
    assert warm_day(day) == warm


def forget_what_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """ClickHouse says of no row that it has a value of its own."""
    monkeypatch.setattr(derived, "rules_but", lambda _: tuple(derived.RULES.values()))


@pytest.mark.parametrize("checks_rows", [True, False])
def test_a_day_that_was_wrongly_found_derivable_stays_in_clickhouse(
    road: Road, warm: Client, monkeypatch: pytest.MonkeyPatch, checks_rows: bool
) -> None:
    imei, _ = road.fleet.install()
    day = road.fleet.day()
    odd = with_changes(make_rows(road, imei, day)[1], odometer=1.5, hdop=0.123)
    road.fleet.write([odd])
    road.warm_up([day])
    forget_what_is_stated(monkeypatch)
    if not checks_rows:
        monkeypatch.setattr(derived, "differing", lambda *_: [])
    report = road.archive([day])
    [fault] = report.faults
    assert (report.archived, held(warm, day)) == ((), 1)
    assert "a row's hdop, odometer is not what the file would say" in fault.reason or not checks_rows
    assert "differs from its manifest in column hdop, column odometer" in fault.reason or checks_rows
    monkeypatch.undo()
    assert [done.row_count for done in road.archive([day]).archived] == [1]
    assert kept_whole(road, day) == ["hdop", "odometer"]


def test_a_day_that_is_loaded_again_while_it_is_looked_at_is_no_fault(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    imei, _ = road.fleet.install()
    day = road.fleet.day()
    road.fleet.write([with_changes(make_rows(road, imei, day)[1], odometer=1.5)])
    road.warm_up([day])
    forget_what_is_stated(monkeypatch)
    found = derived.differing

    def meanwhile(*arguments: Any) -> list[str]:
        load_days(road.settings, day, day + DAY, "meanwhile")
        return found(*arguments)

    monkeypatch.setattr(derived, "differing", meanwhile)
    [kept] = road.archive([day]).kept
    assert kept.reason == "it was loaded again while it was archived"


def test_clickhouse_and_the_archive_agree_on_every_value_that_is_its_own(warm: Client) -> None:
    chance = random.Random(7)
    rows = make_sent(3_000, seed=7).to_pylist()
    for row in rows[::3]:
        for name in chance.sample(SHORT, 2):
            odd = (chance.uniform(-200, 200), -0.0, float("nan"), float("inf"), 1e9, None, 0.0)
            row[name] = chance.choice(odd)
    table = pa.Table.from_pylist(rows, schema=layout.schema())
    rules = tuple(derived.RULES.values())
    wanted = [own_columns(table.slice(number, 1), rules) for number in range(table.num_rows)]
    assert sum(len(names) for names in wanted) > 1_000
    name = "analytics.test_derived"
    warm.command(f"create or replace table {name} as analytics.telemetry")
    try:
        with rows_to_store(warm, name) as given:
            warm.insert_arrow(given, table)
        stated = warm.query(f"select mapKeys(stated) from {name} order by content_hash").result_rows
        assert [set(keys) - {NULL_ODOMETER} for (keys,) in stated] == wanted
    finally:
        warm.command(f"drop table {name}")


def own_columns(row: pa.Table, rules: Sequence[derived.Rule]) -> set[str]:
    return set(derived.differing(row, derived.stored_rows(row, rules), rules))
