"""Foreign histories into real stores: once, whatever the format, whenever the load dies."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from telematics.names import Origin
from tests.stack_fixture import PORTS
from tests.warehouse.backfill.telemetry.making import (
    NOW,
    World,
    days_after,
    make_rows,
    new_source,
    new_vin,
    write_file,
    write_mapping,
)
from tests.warehouse.conftest import Fleet
from warehouse.backfill.days import RUN_PREFIX
from warehouse.backfill.telemetry import Step
from warehouse.day_load import load_days

pytestmark = pytest.mark.integration


def test_every_value_arrives_in_our_units_and_clickhouse_serves_the_day(
    world: World, fleet: Fleet, tmp_path: Path
):
    vin, source = world.register(new_vin()), new_source()
    mapping = write_mapping(tmp_path / "m.toml", source)
    file = write_file(tmp_path / "h.csv", make_rows(vin, fleet.day(), 2))
    report = world.load(file, mapping)
    assert (report.read_rows, report.loaded_rows, report.doubled_rows, report.rejected) == (2, 2, 0, {})
    assert (report.first_day, report.last_day, report.days_by_tier) == (
        fleet.day(), fleet.day(), {"clickhouse": 1},
    )  # fmt: skip
    assert report.columns.ignored == {"driver"}
    names = (
        "device_id, origin, round(lat, 6), round(lng, 6), toFloat64(speed_mph), toString(battery_v), "
        "odometer_can_m, "
        "round(odometer, 4), odometer_source, coolant_c, dtc_codes, dtc_known, is_valid, event_id, "
        "stream_position, toString(received_at), fuel_pct"
    )
    assert world.rows(vin, columns=names) == [
        (
            f"backfill:{source}", "live", 42.277, -83.738, pytest.approx(31.37924), "14.12", 12_345_678,
            7671.2487, "can", 80, ["P0300", "P0420"], True, True, 0, -1, "2031-01-01 00:00:00.000", None,
        ),
        (
            f"backfill:{source}", "live", 42.27701, -83.73801, pytest.approx(31.44137), "14.121", 12_345_688,
            7671.2549, "can", 80, [], False, True, 0, -1, "2031-01-01 00:00:00.000", None,
        ),
    ]  # fmt: skip
    assert world.ledger(fleet.day()) == (2, True, False, RUN_PREFIX + report.load_id)
    assert world.staging_tables() == 0


def test_the_same_rows_in_other_files_and_formats_are_the_same_rows(
    world: World, fleet: Fleet, tmp_path: Path
):
    vin = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    rows = make_rows(vin, fleet.day(), 5) + make_rows(vin, fleet.day(1), 4)
    world.load(write_file(tmp_path / "a" / "h.csv", rows), mapping)
    before = world.rows(vin, columns="*")
    assert len(before) == 9
    again = world.load(tmp_path / "a" / "h.csv", mapping)
    assert (again.is_new, again.loaded_rows) == (False, 9)
    for name in ("h.parquet", "h.ndjson", "h.csv.gz", "h.jsonl.zst"):
        report = world.load(write_file(tmp_path / name / name, rows + rows[:2]), mapping)
        assert (report.is_new, report.loaded_rows, report.doubled_rows) == (True, 9, 2), name
        assert world.rows(vin, columns="*") == before, f"{name}: the row received first stays"


def test_a_rebuild_keeps_the_vin_and_a_late_record_joins_the_day(world: World, fleet: Fleet, tmp_path: Path):
    vin = world.register(new_vin())
    imei, other = fleet.install()
    rows = make_rows(vin, fleet.day(), 3)
    world.load(write_file(tmp_path / "h.csv", rows), write_mapping(tmp_path / "m.toml", new_source()))
    before = world.rows(vin)
    fleet.write(fleet.make_rows(imei, fleet.day(), 4))
    load_days(world.settings, fleet.day(), fleet.day(1), "rebuild")
    assert world.rows(vin) == before
    assert (world.count(vin), world.count(other)) == (3, 4)


def test_a_day_that_clickhouse_holds_is_merged_with(world: World, fleet: Fleet, tmp_path: Path):
    vin = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    rows = make_rows(vin, fleet.day(), 6)
    world.load(write_file(tmp_path / "1.csv", rows[:4]), mapping)
    report = world.load(write_file(tmp_path / "2.csv", rows[2:]), mapping)
    assert (report.loaded_rows, world.count(vin)) == (4, 6)


def test_unknown_vehicles_are_set_aside_unless_they_are_registered(
    world: World, fleet: Fleet, tmp_path: Path
):
    vin, known = new_vin(), world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    rows = make_rows(vin, fleet.day(), 2) + make_rows(known, fleet.day(), 1)
    file = write_file(tmp_path / "h.csv", rows)
    report = world.load(file, mapping)
    assert report.rejected == {"h.csv: unknown vehicle": 2}
    assert (report.loaded_rows, world.count(vin, known)) == (1, 1)
    registered = world.load(file, mapping, register_as=Origin.LIVE)
    assert (registered.registered_vehicles, registered.rejected) == (1, {})
    assert registered.odd_check_digits == 2
    assert (world.count(vin), world.count(known)) == (2, 1)
    assert world.load(file, mapping, register_as=Origin.RECORDED).rejected == {}, "it is known by now"


def test_rows_of_a_device_belong_to_where_it_was_installed(world: World, fleet: Fleet, tmp_path: Path):
    noon = fleet.make_rows("", fleet.day(), 1, start_s=43_202)[0].time
    imei, first = fleet.install(until=noon)
    _, second = fleet.install(imei, since=noon)
    rows = make_rows(imei, fleet.day(), 5) + make_rows("353000099999999", fleet.day(), 1)
    text = write_mapping(tmp_path / "m.toml", new_source()).read_text()
    (tmp_path / "m.toml").write_text(text.replace('vin = "car"', 'device_id = "car"'))
    report = world.load(write_file(tmp_path / "h.csv", rows), tmp_path / "m.toml")
    assert report.rejected == {"h.csv: unknown device": 1}
    assert (world.count(first), world.count(second)) == (2, 3)


def test_a_day_of_the_hot_week_is_written_to_timescale_and_stays(world: World, fleet: Fleet, tmp_path: Path):
    vin = world.register(new_vin())
    days = days_after(fleet.day(), 2)
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, days[1], 3))
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    rows = [row for day in days for row in make_rows(vin, day, 3)]
    now = NOW.replace(year=fleet.day().year, month=fleet.day().month, day=fleet.day().day)
    report = world.load(write_file(tmp_path / "h.csv", rows), mapping, clock=lambda: now + timedelta(days=2))
    assert report.days_by_tier == {"hot": 2}
    stored = world.hot.execute(
        "select dtc_codes, vin, odometer_can_m, raw_data from telemetry where vin = %s order by time", [vin]
    ).fetchall()
    assert len(stored) == 6
    assert stored[0] == (["P0300", "P0420"], vin, 12_345_678, None)
    assert stored[1][0] is None
    load_days(world.settings, days[0], days[1] + timedelta(1), "next")
    assert world.count(vin) == 6
    assert [world.ledger(day)[1] for day in days] == [False, False]
    again = world.load(
        write_file(tmp_path / "h.parquet", rows), mapping, clock=lambda: now + timedelta(days=3)
    )
    assert again.loaded_rows == 6
    assert world.hot.execute("select count(*) from telemetry where vin = %s", [vin]).fetchone() == (6,)
    assert world.count(vin) == 6


_DIE = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from telematics.settings import load_settings
from warehouse.backfill.telemetry import Request, backfill_telemetry

seen = 0
def after(step):
    global seen
    seen += step.value == sys.argv[3]
    if seen == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

request = Request(sys.argv[1], Path(sys.argv[2]))
backfill_telemetry(load_settings(), request, clock=lambda: datetime.fromisoformat(sys.argv[5]), after=after)
"""


def _killed(world: World, repository: Path, *arguments: str) -> int:
    environment = os.environ | {
        f"PISTON_{name.upper()}": str(getattr(world.settings, name)) for name in PORTS
    }
    environment |= {
        "PISTON_ENVIRONMENT": "test",
        "PISTON_DEVICE_TIME_EARLIEST": "2000-01-01",
        "PISTON_DATA_DIR": str(world.settings.data_dir),
    }
    command = [sys.executable, "-c", _DIE, *arguments]
    return subprocess.run(command, cwd=repository, env=environment, check=False).returncode


@pytest.mark.parametrize(
    ("step", "time"),
    [(Step.BEGUN, 1), (Step.FILE, 1), (Step.STAGED, 1), (Step.HOT, 1), (Step.MERGED, 1), (Step.MERGED, 2)],
)
def test_a_load_that_is_killed_goes_on_and_ends_with_the_same_rows(
    world: World, fleet: Fleet, tmp_path: Path, repository: Path, step: Step, time: int
):
    vin = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    folder = tmp_path / "history"
    # neighbouring days are one slice: three slices, the last day is in the hot week
    days = [fleet.day(0), fleet.day(9), fleet.day(18)]
    for number, day in enumerate(days):
        rows = make_rows(vin, day, 4) + make_rows(new_vin(), day, 1)
        write_file(folder / f"{number}.csv", rows)
    now = NOW.replace(year=days[2].year, month=days[2].month, day=days[2].day) + timedelta(days=3)
    code = _killed(world, repository, str(folder), str(mapping), step.value, str(time), now.isoformat())
    assert code == -signal.SIGKILL
    later = now + timedelta(hours=1)
    said: list[str] = []
    report = world.load(folder, mapping, clock=lambda: later, progress=said.append)
    assert (report.is_new, report.loaded_rows, report.rejected_rows) == (True, 12, 3)
    assert report.days_by_tier == {"clickhouse": 2, "hot": 1}
    found = world.rows(vin, columns="time, toString(received_at)")
    assert len(set(found)) == len(found) == 12
    assert {received for _, received in found} == {now.strftime("%Y-%m-%d %H:%M:%S.000")}
    assert [world.ledger(day)[1] for day in days] == [True, True, False]
    assert world.staging_tables() == 0
    assert not world.load(folder, mapping, clock=lambda: later).is_new


def test_rows_of_a_file_that_was_not_finished_are_removed_before_it_is_read_again(
    world: World, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class GoneError(Exception):
        pass

    def die(step: Step) -> None:
        if step is Step.FILE:
            raise GoneError

    vin = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    for name in ("a.csv", "b.csv"):
        write_file(tmp_path / "h" / name, make_rows(vin, fleet.day(ord(name[0]) - 97), 4))
    with pytest.raises(GoneError):
        world.load(tmp_path / "h", mapping, after=die)
    [table] = world.warm.query(
        "select name from system.tables where database = 'analytics' and name like 'backfill\\_\\_%'"
    ).result_rows[0]
    # the second file was half-way in when the process died
    world.warm.command(
        f"insert into analytics.{table} select * replace (1 as file_number) from analytics.{table} limit 2"
    )
    report = world.load(tmp_path / "h", mapping)
    assert (report.loaded_rows, report.doubled_rows, world.count(vin)) == (8, 0, 8)


def test_a_load_whose_staged_rows_were_lost_is_read_anew(world: World, fleet: Fleet, tmp_path: Path):
    class GoneError(Exception):
        pass

    def die(step: Step) -> None:
        if step is Step.STAGED:
            raise GoneError

    vin = world.register(new_vin())
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    file = write_file(tmp_path / "h.csv", make_rows(vin, fleet.day(), 4))
    with pytest.raises(GoneError):
        world.load(file, mapping, after=die)
    # nobody finished it for a month, and another load tidied up
    world.hot.execute("update telemetry_backfills set begun_at = '2001-01-01' where status <> 'complete'")
    world.load(write_file(tmp_path / "2.csv", make_rows(vin, fleet.day(1), 1)), mapping)
    assert world.staging_tables() == 0
    assert world.load(file, mapping).loaded_rows == 4
    assert world.count(vin) == 5


def test_a_complete_load_is_read_again_when_asked(world: World, fleet: Fleet, tmp_path: Path):
    vin = new_vin()
    mapping = write_mapping(tmp_path / "m.toml", new_source())
    file = write_file(tmp_path / "h.csv", make_rows(vin, fleet.day(), 3))
    assert world.load(file, mapping).rejected_rows == 3
    world.register(vin)
    assert not world.load(file, mapping).is_new
    report = world.load(file, mapping, again=True)
    assert (report.is_new, report.loaded_rows, report.rejected, world.count(vin)) == (True, 3, {}, 3)
