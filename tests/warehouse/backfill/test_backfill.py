"""Histories into real stores: once, whole or not at all, whenever the load dies."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client

from telematics.settings import Settings
from tests.stack_fixture import PORTS
from tests.warehouse.backfill.making import (
    DAY,
    NOW,
    History,
    make_day,
    make_history,
    make_record,
    make_vehicle,
    new_vin,
    write_manifest,
)
from warehouse.backfill import BackfillReport, FolderError, Step, VehicleOriginError, backfill
from warehouse.backfill.schema import SERVICE_RECORDS, SIGNALS, VEHICLES
from warehouse.reference_copy import copy_reference

pytestmark = pytest.mark.integration


@dataclass
class World:
    """Both stores, and what they hold of a few vehicles."""

    settings: Settings
    warm: Client
    hot: psycopg.Connection

    def load(self, folder: Path, **keywords: Any) -> BackfillReport:
        return backfill(self.settings, folder, clock=lambda: NOW, **keywords)

    def visible_days(self, *vins: str) -> list[tuple[Any, ...]]:
        """Days as dbt sees them: of marked loads only."""
        return self.warm.query(
            "select s.* except (load_id) from analytics.loaded_component_day_signals as s "
            "inner join analytics.backfill_loads as l on s.load_id = l.load_id "
            "where s.vin in {vins:Array(String)} order by s.vin, s.date",
            parameters={"vins": list(vins)},
        ).result_rows

    def all_days(self, *vins: str) -> int:
        found = self.warm.query(
            "select count() from analytics.loaded_component_day_signals where vin in {vins:Array(String)}",
            parameters={"vins": list(vins)},
        )
        return int(found.result_rows[0][0])

    def visible_records(self, *vins: str) -> list[tuple[Any, ...]]:
        """Service records as dbt sees them, after a copy."""
        copy_reference(self.settings)
        return self.warm.query(
            "select * from analytics.service_records where vin in {vins:Array(String)} order by all",
            parameters={"vins": list(vins)},
        ).result_rows

    def visible_vehicles(self, *vins: str) -> list[tuple[Any, ...]]:
        """Vehicles as dbt sees them after the last copy."""
        return self.warm.query(
            "select vin from analytics.vehicles where vin in {vins:Array(String)} order by vin",
            parameters={"vins": list(vins)},
        ).result_rows

    def rejects(self, load_id: str) -> list[tuple[Any, ...]]:
        return self.hot.execute(
            "select file, row_number, reason from backfill_rejects where load_id = %s order by 1, 2",
            [load_id],
        ).fetchall()


@pytest.fixture
def world(stack: Settings, warm: Client, hot: psycopg.Connection) -> Iterator[World]:
    return World(stack, warm, hot)


def _vins(history: History) -> list[str]:
    return [row["vin"] for row in history.vehicles]


def test_every_value_arrives(world: World, tmp_path: Path):
    history = make_history(days=1)
    vin = _vins(history)[0]
    odd = make_day(
        vin, DAY + timedelta(1), crank_count=0, start_count=0, short_trip_count=0, crank_min_v=None,
        crank_mean_v=None, rest_v=None, rest_min_v=None, charge_v=12.345678901234567, charge_min_v=0.1,
        ambient_c=-40.5, distance_m=None, dtc_codes=[], dtc_known=False,
    )  # fmt: skip
    history.days.append(odd)
    report = world.load(history.write(tmp_path / "h"))
    assert (report.is_new, report.day_rows, report.vehicle_rows, report.service_record_rows) == (
        True,
        3,
        2,
        1,
    )
    assert (report.first_day, report.last_day, report.rejected) == (DAY, DAY + timedelta(1), {})
    names = [name for name in odd if name != "known_at"]
    for expected, found in zip([history.days[0], odd], world.visible_days(vin), strict=True):
        row = dict(zip(expected, found, strict=True))
        assert {name: row[name] for name in names} == {name: expected[name] for name in names}
        assert row["known_at"] == expected["known_at"].replace(tzinfo=None)
    [record] = world.visible_records(vin)
    assert record == (
        vin, "battery", "replacement", history.records[0]["performed_on"],
        history.records[0]["recorded_at"].replace(tzinfo=None), 50_000.0, "failure",
    )  # fmt: skip
    stored = world.hot.execute(
        "select origin, make, model, model_year from vehicles where vin = any (%s) order by vin",
        [_vins(history)],
    ).fetchall()
    assert stored == [("simulated", "Make", None, 2019), ("simulated", "Make", "Model", 2019)]


def test_the_same_folder_again_changes_nothing_and_says_so(world: World, tmp_path: Path):
    history = make_history()
    history.records.append(make_record(new_vin()))
    folder = history.write(tmp_path / "h")
    first = world.load(folder)
    before = world.visible_days(*_vins(history)), world.visible_records(*_vins(history))
    said: list[str] = []
    again = world.load(folder, progress=said.append)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.load_id == first.load_id
    assert again.rejected == first.rejected != {}
    assert any("loaded before; nothing is changed" in sentence for sentence in said)
    assert (world.visible_days(*_vins(history)), world.visible_records(*_vins(history))) == before
    assert world.all_days(*_vins(history)) == len(history.days)


def test_bad_rows_are_set_aside_with_file_number_and_reason(world: World, tmp_path: Path):
    history = make_history(days=2)
    vin, stranger = _vins(history)[0], new_vin()
    history.vehicles.append(make_vehicle("NOTAVIN"))
    history.days[1] |= {"rest_v": math.nan}
    history.days += [make_day(vin), make_day(stranger)]
    history.records += [
        make_record(stranger),
        make_record(vin, NOW.date() + timedelta(5)),
    ]
    report = world.load(history.write(tmp_path / "h"))
    assert world.rejects(report.load_id) == [
        (SIGNALS, 2, "not a finite number"),
        (SIGNALS, 5, "repeats an earlier row"),
        (SIGNALS, 6, "unknown vehicle"),
        (SERVICE_RECORDS, 2, "unknown vehicle"),
        (SERVICE_RECORDS, 3, "in the future"),
        (VEHICLES, 3, "malformed VIN"),
    ]
    assert report.rejected[f"{SIGNALS}: unknown vehicle"] == 1
    assert (report.day_rows, report.vehicle_rows, report.service_record_rows) == (3, 2, 1)
    assert len(world.visible_days(*_vins(history), stranger)) == 3
    assert len(world.visible_records(*_vins(history), stranger)) == 1


def test_a_vehicle_keeps_its_origin(world: World, tmp_path: Path):
    history = make_history()
    world.hot.execute("insert into vehicles (vin, origin) values (%s, 'recorded')", [_vins(history)[1]])
    with pytest.raises(VehicleOriginError, match="registered with another origin") as refused:
        world.load(history.write(tmp_path / "h"))
    assert _vins(history)[1] not in str(refused.value)
    assert world.all_days(*_vins(history)) == 0
    registered = world.hot.execute("select vin from vehicles where vin = any (%s)", [_vins(history)])
    assert registered.fetchall() == [(_vins(history)[1],)]


def test_what_the_registry_says_of_a_vehicle_stays_and_is_filled_in(world: World, tmp_path: Path):
    history = make_history()
    world.hot.execute(
        "insert into vehicles (vin, origin, make) values (%s, 'simulated', 'Known')", [_vins(history)[1]]
    )
    world.load(history.write(tmp_path / "h"))
    found = world.hot.execute(
        "select make, model, model_year from vehicles where vin = %s", [_vins(history)[1]]
    )
    assert found.fetchall() == [("Known", "Model", 2019)]


def test_a_later_history_may_overlap_and_brings_each_service_record_once(world: World, tmp_path: Path):
    history = make_history(days=2)
    world.load(history.write(tmp_path / "first"))
    history.days += [make_day(vin, DAY + timedelta(9)) for vin in _vins(history)]
    history.records.append(make_record(_vins(history)[1]))
    report = world.load(history.write(tmp_path / "second"))
    assert (report.is_new, report.day_rows, report.service_record_rows) == (True, 6, 1)
    assert len(world.visible_days(*_vins(history))) == 10, "dbt takes the newer load of a day"
    assert len(world.visible_records(*_vins(history))) == 2


def test_a_page_that_turns_out_damaged_leaves_nothing(world: World, tmp_path: Path):
    history = make_history()
    folder = history.write(tmp_path / "h")
    data = (folder / SIGNALS).read_bytes()
    start = pq.ParquetFile(folder / SIGNALS).metadata.row_group(0).column(6).data_page_offset
    (folder / SIGNALS).write_bytes(data[: start + 8] + b"\xff" * 24 + data[start + 32 :])
    write_manifest(folder, {VEHICLES: 2, SIGNALS: 6, SERVICE_RECORDS: 1})
    with pytest.raises(FolderError, match="cannot be read as Parquet"):
        world.load(folder)
    assert world.all_days(*_vins(history)) == 0
    assert world.visible_records(*_vins(history)) == []
    assert world.hot.execute(
        "select count(*) from backfills where folder = %s", [str(folder)]
    ).fetchone() == (0,)


_DIE = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from telematics.settings import load_settings
from warehouse.backfill import backfill

def after(step):
    if step.value == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

backfill(load_settings(), Path(sys.argv[1]), clock=lambda: datetime.fromisoformat(sys.argv[3]), after=after)
"""


@pytest.mark.parametrize("step", list(Step))
def test_a_load_that_is_killed_shows_nothing_or_everything_and_runs_again(
    world: World, tmp_path: Path, repository: Path, step: Step
):
    history = make_history()
    history.records.append(make_record(new_vin()))
    vins = _vins(history)
    folder = history.write(tmp_path / "h")
    environment = os.environ | {
        f"PISTON_{name.upper()}": str(getattr(world.settings, name)) for name in PORTS
    }
    killed = subprocess.run(
        [sys.executable, "-c", _DIE, str(folder), step.value, NOW.isoformat()],
        cwd=repository, env=environment | {"PISTON_ENVIRONMENT": "test"}, check=False, capture_output=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    is_whole = step in (Step.MARKED, Step.COMPLETED)
    assert len(world.visible_days(*vins)) == (len(history.days) if is_whole else 0)
    assert len(world.visible_records(*vins)) == (1 if is_whole else 0)
    assert len(world.visible_vehicles(*vins)) == (len(set(vins)) if is_whole else 0)
    if step is Step.SIGNALS:
        assert world.all_days(*vins) == len(history.days), "the test kills after the rows are there"

    report = world.load(folder)
    assert report.is_new is not is_whole
    assert len(world.visible_days(*vins)) == world.all_days(*vins) == len(history.days)
    assert len(world.visible_records(*vins)) == 1
    assert [row[1:] for row in world.rejects(report.load_id)] == [(2, "unknown vehicle")]
    states = world.hot.execute("select status from backfills where load_id = %s", [report.load_id]).fetchall()
    assert states == [("complete",)]


def test_what_a_killed_load_left_is_dropped_by_the_next_one(world: World, tmp_path: Path):
    class KilledError(Exception):
        pass

    def die(step: Step) -> None:
        if step is Step.WRITTEN:
            raise KilledError

    lost, next_ = make_history(), make_history()
    with pytest.raises(KilledError):
        world.load(lost.write(tmp_path / "lost"), after=die)
    assert world.all_days(*_vins(lost)) == len(lost.days)
    said: list[str] = []
    world.load(next_.write(tmp_path / "next"), progress=said.append)
    assert any("interrupted loads" in sentence for sentence in said)
    assert world.all_days(*_vins(lost)) == 0
    left = world.hot.execute("select count(*) from service_records where vin = any (%s)", [_vins(lost)])
    assert left.fetchone() == (0,)
    assert len(world.visible_days(*_vins(next_))) == len(next_.days)
    gone = world.hot.execute("select count(*) from vehicles where vin = any (%s)", [_vins(lost)])
    assert gone.fetchone() == (0,)


def test_a_load_whose_mark_was_lost_keeps_its_place_until_its_folder_comes_again(
    world: World, tmp_path: Path
):
    kept, next_ = make_history(), make_history()
    folder = kept.write(tmp_path / "kept")
    report = world.load(folder)
    world.warm.command(
        f"delete from analytics.backfill_loads where load_id = '{report.load_id}'",
        settings={"mutations_sync": 2},
    )
    world.load(next_.write(tmp_path / "next"))
    found = world.hot.execute("select folder from backfills where load_id = %s", [report.load_id]).fetchone()
    assert found == (str(folder),), "the list of folders is what brings lost loads back"
    again = world.load(folder)
    assert again.is_new
    assert again.service_record_rows == report.service_record_rows
    assert len(world.visible_days(*_vins(kept))) == len(kept.days)


def test_two_loads_of_one_folder_at_once_are_one(world: World, tmp_path: Path, repository: Path):
    history = make_history(days=9)
    folder = history.write(tmp_path / "h")
    environment = os.environ | {
        f"PISTON_{name.upper()}": str(getattr(world.settings, name)) for name in PORTS
    }
    command = [sys.executable, "-c", _DIE, str(folder), "never", NOW.isoformat()]
    both = [
        subprocess.Popen(command, cwd=repository, env=environment | {"PISTON_ENVIRONMENT": "test"})
        for _ in range(2)
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(world.visible_days(*_vins(history))) == world.all_days(*_vins(history)) == len(history.days)
