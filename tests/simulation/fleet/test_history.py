"""The folder of history: its schema, its bytes, and what is never overwritten."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulation.fleet.cars import make_car
from simulation.fleet.history import (
    BATTERY_DAYS,
    FAILURES,
    MANIFEST,
    SERVICE_RECORDS,
    SIGNALS,
    VEHICLES,
    ForeignFolderError,
    write_history,
)
from simulation.fleet.parameters import EPOCH, PARAMETERS
from telematics.errors import ConfigurationError

END = date(2023, 3, 31)
FILES = (VEHICLES, SIGNALS, SERVICE_RECORDS, BATTERY_DAYS, FAILURES)
TEXT, DAY, MOMENT, NUMBER = pa.string(), pa.date32(), pa.timestamp("ms", tz="UTC"), pa.float64()
COLUMNS = {
    VEHICLES: {"vin": TEXT, "origin": TEXT, "make": TEXT, "model": TEXT, "model_year": pa.int16()},
    SIGNALS: {
        "vin": TEXT, "date": DAY, "origin": TEXT, "known_at": MOMENT, "start_count": pa.uint16(),
        "crank_count": pa.uint16(), "crank_min_v": NUMBER, "crank_mean_v": NUMBER, "rest_v": NUMBER,
        "rest_min_v": NUMBER, "charge_v": NUMBER, "charge_min_v": NUMBER, "ambient_c": NUMBER,
        "engine_on_s": NUMBER, "short_trip_count": pa.uint16(), "distance_m": NUMBER,
        "dtc_codes": pa.list_(TEXT), "dtc_known": pa.bool_(),
    },
    SERVICE_RECORDS: {
        "vin": TEXT, "component": TEXT, "kind": TEXT, "performed_on": DAY, "recorded_at": MOMENT,
        "odometer_mi": NUMBER, "reason": TEXT,
    },
    BATTERY_DAYS: {
        "vin": TEXT, "date": DAY, "damage": NUMBER, "resistance_mohm": NUMBER, "age_days": pa.int32(),
        "hazard_1d": NUMBER, "risk_30": NUMBER, "risk_90": NUMBER,
    },
    FAILURES: {"vin": TEXT, "failed_on": DAY, "mode": TEXT, "replaced_on": DAY, "recorded": pa.bool_()},
}  # fmt: skip


def make_history(folder, **overrides):
    shape = {"seed": 5, "vehicles": 60, "days": 200, "end_day": END} | overrides
    return write_history(folder, **shape)


def rows_of(folder, name):
    return pq.read_table(folder / name).to_pylist()


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history") / "fleet"
    make_history(folder)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_columns_have_the_contracts_names_types_and_order(history, name):
    schema = pq.read_schema(history / name)
    assert list(zip(schema.names, schema.types, strict=True)) == list(COLUMNS[name].items())


def test_the_manifest_describes_the_files(history):
    manifest = json.loads((history / MANIFEST).read_text())
    assert manifest["generator"] == "piston-simulator/1"
    assert (manifest["seed"], manifest["vehicles"], manifest["days"]) == (5, 60, 200)
    assert manifest["last_day"] == END.isoformat()
    assert manifest["first_day"] == (END - timedelta(days=199)).isoformat()
    assert manifest["parameters_hash"] == PARAMETERS.fingerprint
    assert set(manifest["files"]) == set(FILES)
    for name, described in manifest["files"].items():
        assert described["sha256"] == hashlib.sha256((history / name).read_bytes()).hexdigest()
        assert described["rows"] == len(rows_of(history, name)) > 0


def test_rows_are_sorted_and_each_car_and_day_is_there_once(history):
    keys = [(row["vin"], row["date"]) for row in rows_of(history, SIGNALS)]
    assert keys == sorted(set(keys))
    days = {day for _, day in keys}
    assert (min(days), max(days)) == (END - timedelta(days=199), END)
    vins = [row["vin"] for row in rows_of(history, VEHICLES)]
    assert set(vins) == {make_car(5, number).vin for number in range(1, 61)} == {vin for vin, _ in keys}
    assert 0.75 < len(keys) / (60 * 200) < 0.97


def test_what_is_missing_is_null_and_not_zero(history):
    rows = rows_of(history, SIGNALS)
    idle = [row for row in rows if row["start_count"] == 0]
    assert idle
    for row in idle:
        assert row["rest_v"] is row["crank_min_v"] is row["charge_v"] is row["ambient_c"] is None
        assert (row["engine_on_s"], row["distance_m"], row["dtc_known"]) == (0.0, 0.0, False)
    assert all(row["crank_min_v"] <= row["crank_mean_v"] + 1e-6 for row in rows if row["crank_count"])


def test_the_same_seed_gives_the_same_bytes(history, tmp_path):
    make_history(tmp_path / "again")
    for name in (*FILES, MANIFEST):
        assert (tmp_path / "again" / name).read_bytes() == (history / name).read_bytes()


def test_a_car_does_not_change_with_the_fleets_size_or_the_window(history, tmp_path):
    make_history(tmp_path / "small", vehicles=7, days=60, end_day=END - timedelta(days=10))
    shorter = rows_of(tmp_path / "small", SIGNALS)
    longer = {(row["vin"], row["date"]): row for row in rows_of(history, SIGNALS)}
    assert len(shorter) > 200
    assert all(longer[row["vin"], row["date"]] == row for row in shorter)
    truth = {(row["vin"], row["date"]): row for row in rows_of(history, BATTERY_DAYS)}
    assert all(truth[row["vin"], row["date"]] == row for row in rows_of(tmp_path / "small", BATTERY_DAYS))


def test_the_service_book_knows_nothing_of_the_days_to_come(history):
    end = datetime(END.year, END.month, END.day, tzinfo=UTC) + timedelta(days=1)
    records = rows_of(history, SERVICE_RECORDS)
    assert all(row["recorded_at"] < end and row["performed_on"] >= EPOCH for row in records)
    assert all(row["recorded_at"].date() > row["performed_on"] for row in records)
    assert {row["kind"] for row in records} == {"replacement", "repair"}
    assert {row["reason"] for row in records} == {"failure", "preventive", "unknown"}


def test_recorded_failures_are_in_the_book_and_the_others_are_not(history):
    book = {
        (row["vin"], row["performed_on"])
        for row in rows_of(history, SERVICE_RECORDS)
        if row["kind"] == "replacement" and row["reason"] != "preventive"
    }
    failures = rows_of(history, FAILURES)
    assert len(failures) > 3
    for row in failures:
        assert 1 <= (row["replaced_on"] - row["failed_on"]).days <= 3
        assert row["recorded"] == ((row["vin"], row["replaced_on"]) in book)


def test_a_car_that_stands_has_no_oracle_and_does_not_drive(history):
    truth = {(row["vin"], row["date"]) for row in rows_of(history, BATTERY_DAYS)}
    signals = {(row["vin"], row["date"]): row for row in rows_of(history, SIGNALS)}
    for row in rows_of(history, FAILURES):
        assert (row["vin"], row["replaced_on"]) in truth
        day = row["failed_on"]
        while day < row["replaced_on"]:
            assert (row["vin"], day) not in truth
            if day > row["failed_on"] and (row["vin"], day) in signals:
                assert signals[row["vin"], day]["start_count"] == 0
            day += timedelta(days=1)


def test_an_earlier_history_is_replaced_and_a_foreign_folder_is_not(tmp_path):
    folder = tmp_path / "fleet"
    make_history(folder, vehicles=2, days=5)
    make_history(folder, vehicles=3, days=5)
    assert len(rows_of(folder, VEHICLES)) == 3
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("mine")
    with pytest.raises(ForeignFolderError, match="holds no simulated history"):
        make_history(foreign, vehicles=2, days=5)
    assert [path.name for path in foreign.iterdir()] == ["chapter.txt"]
    (folder / "notes.txt").write_text("mine too")
    with pytest.raises(ForeignFolderError, match="holds no simulated history"):
        make_history(folder, vehicles=2, days=5)
    assert (folder / "notes.txt").read_text() == "mine too"


def test_the_present_folder_may_be_named_by_a_dot(tmp_path, monkeypatch):
    (tmp_path / "fleet").mkdir()
    monkeypatch.chdir(tmp_path / "fleet")
    make_history(Path(), vehicles=1, days=5)
    assert (tmp_path / "fleet" / MANIFEST).is_file()


def test_what_is_interrupted_leaves_nothing_behind(tmp_path):
    class Interrupted(Exception):
        pass

    def stop(done, _):
        raise Interrupted

    folder = tmp_path / "fleet"
    with pytest.raises(Interrupted):
        make_history(folder, vehicles=2, days=5, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"days": 0}, "--days 0"),
        ({"days": 821}, "lives begin on 2021-01-01"),
        ({"seed": 100_000}, "--seed"),
        ({"vehicles": 10_001}, "--vehicles"),
        ({"end_day": date(2020, 12, 31)}, "--days 200"),
    ],
)
def test_what_cannot_be_simulated_is_a_sentence(tmp_path, overrides, says):
    with pytest.raises(ConfigurationError, match=says):
        make_history(tmp_path / "fleet", **overrides)
    assert list(tmp_path.iterdir()) == []
