"""Files have shorter forms of columns only where these say every bit, and readers get what was written."""

import json
import math
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telematics.units import miles_from_metres
from tests.warehouse.archive.making import (
    EVERY,
    GNSS,
    ODOMETERS,
    bits_of,
    make_rows,
    make_sent,
    read,
    sent,
    single,
    written,
)
from warehouse.archive import derived, integers, layout, miles, parquet, sums, verification
from warehouse.archive.errors import DamagedError, ParityError
from warehouse.archive.folder import FolderStorage
from warehouse.archive.manifest import Manifest, make_manifest
from warehouse.steps import BY_NAME

DAY: Final = date(2024, 1, 2)
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
SHORT: Final = (*EVERY, "odometer")
"""Columns that a file may have in a shorter form."""
OLD_WORDS: Final = (
    "odometer_<odometer_source>_m / 1609.344 miles: one division of 64-bit floating-point numbers; null "
    "where odometer_source is not one of can, obd, gnss, or its metres are null"
)
"""As files of schema version 2 say it."""


def assert_same(found: pa.Table, rows: pa.Table) -> None:
    """Every row, every column, every bit."""
    whole = parquet.conformed(found, layout.schema()).combine_chunks()
    assert whole.equals(rows.combine_chunks())
    for name in SHORT:
        assert bits_of(whole, name) == bits_of(rows, name), name
    assert sums.of_batches([whole]).differences(sums.of_batches([rows])) == []


def old_file(rows: pa.Table, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """A file as earlier releases wrote it."""
    encodings = dict.fromkeys(("time", "received_at", "stream_position", GNSS), "DELTA_BINARY_PACKED")
    with pq.ParquetWriter(
        path, rows.schema, compression="zstd", compression_level=12, column_encoding=encodings,
        use_dictionary=["vin", "device_id", "odometer_source"], data_page_version="2.0", version="2.6",
        store_schema=False, write_page_checksum=True,
    ) as writer:  # fmt: skip
        writer.write_table(rows)
        writer.add_key_value_metadata(metadata or {})


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "ROW_GROUP_ROWS", 1_000)


def test_the_rules_are_those_of_every_step_and_the_odometer() -> None:
    assert tuple(derived.RULES) == SHORT == (*BY_NAME, "odometer")
    assert all(name in layout.schema().names for name in derived.RULES)


@pytest.mark.usefixtures("small_groups")
def test_a_file_of_integers_gives_every_row_as_it_was(tmp_path: Path) -> None:
    rows = make_sent(2_500)
    facts = written(rows, tmp_path / "day.parquet")
    stored = pq.read_schema(tmp_path / "day.parquet")
    kept = [BY_NAME[name].kept if name in BY_NAME else name for name in layout.schema().names]
    kept.remove("odometer")
    assert stored.names == kept, "each in the place of its column"
    assert all(0 < rows.column(name).null_count < 2_500 for name in SHORT)
    found = read(tmp_path / "day.parquet")
    assert set(found.column_names) == set(layout.schema().names)
    assert_same(found, rows)
    assert sums.of_batches([rows]).differences(facts.content) == []
    with parquet.open_file(str(tmp_path / "day.parquet")) as file:
        assert file.num_row_groups == 3
        assert sums.of_batches(parquet.batches(file, "day")).differences(facts.content) == []
        assert len(parquet.row_groups(file.metadata, "day")) == 3
        # the order is told by places, and these moved
        places = [column.column_index for column in file.metadata.row_group(0).sorting_columns]
        assert [file.metadata.schema.names[place] for place in places] == list(layout.ORDER)


ODD: Final[tuple[tuple[str, Any], ...]] = (
    *((name, "one bit off") for name in EVERY),
    ("lat", math.nan), ("lng", -0.0), ("lat", 214.7483648), ("speed_mph", math.inf), ("hdop", -0.1),
    ("altitude_ft", 1e6), ("battery_v", -0.0), ("maf_gps", 655.36), ("lng", -83.73812345678),
    ("odometer", "one bit off"), ("odometer", None), ("odometer", math.nan), ("odometer", -0.0),
    ("odometer_source", None), ("odometer_source", "partner"), ("odometer_source", "can"),
    (GNSS, None), (GNSS, 19_868_312),
)  # fmt: skip


@pytest.mark.parametrize(("name", "odd"), ODD)
def test_one_value_of_its_own_keeps_that_column_and_no_other(name: str, odd: Any, tmp_path: Path) -> None:
    chance = random.Random(1)
    fit = {"odometer": miles_from_metres(19_868_311), "odometer_source": "gnss", GNSS: 19_868_311}
    all_rows = [fit | sent(chance) for _ in range(30)]
    if odd == "one bit off":
        odd = all_rows[17][name]
        kind = np.float32 if name not in ("lat", "lng", "odometer") else np.float64
        odd = float(np.nextafter(kind(odd), kind(0)))
    all_rows[17][name] = odd
    table = make_rows(30, **{each: [row[each] for row in all_rows] for each in all_rows[0]})
    column = name if name in EVERY else "odometer"
    with pytest.raises(ParityError, match=rf"a row's {column} is not what"):
        written(table, tmp_path / "no.parquet")
    facts = written(table, tmp_path / "kept.parquet", stated=[column, "a column of a later release"])
    assert list(facts.derived) == [each for each in SHORT if each != column]
    names = pq.read_schema(tmp_path / "kept.parquet").names
    assert (column in names, sum(each in names for each in SHORT)) == (True, 1)
    found = read(tmp_path / "kept.parquet")
    for each in SHORT:
        assert bits_of(found, each) == bits_of(table, each)
    assert sums.of_batches([found]).differences(facts.content) == []


def test_a_day_of_a_partners_numbers_has_nothing_shorter(tmp_path: Path) -> None:
    facts = written(make_sent(9), tmp_path / "day.parquet", stated=SHORT)
    assert facts.derived == {}
    assert pq.read_schema(tmp_path / "day.parquet").names == layout.schema().names
    assert derived.KEY.encode() not in pq.read_metadata(tmp_path / "day.parquet").metadata
    assert_same(read(tmp_path / "day.parquet"), make_sent(9))


def test_a_day_without_rows_is_a_file(tmp_path: Path) -> None:
    facts = written(make_rows(0), tmp_path / "day.parquet")
    assert facts.content.row_count == pq.read_metadata(tmp_path / "day.parquet").num_row_groups == 0


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_earlier_releases_are_read_as_they_were(version: int, tmp_path: Path) -> None:
    rows = make_sent(400)
    path = tmp_path / "old.parquet"
    if version == 1:
        old_file(rows, path)
    else:
        old_file(rows.drop_columns(["odometer"]), path, {derived.KEY: json.dumps({"odometer": OLD_WORDS})})
    assert_same(read(path), rows)
    for names in (["odometer"], ["lat", "odometer", "speed_mph"], ["lat_e7", "vin"]):
        wanted = [name for name in names if name != "lat_e7"]
        assert read(path, names).equals(rows.select(wanted).combine_chunks())


NAMES: Final = (
    ["odometer"], ["time", "odometer", GNSS], ["vin", "rpm"], ["lat"], ["speed_mph", "time", "battery_v"],
    ["lng", "lng_e7", "no such column"],
)  # fmt: skip


@pytest.mark.parametrize("names", NAMES)
def test_any_choice_of_columns_can_be_read(tmp_path: Path, names: list[str]) -> None:
    rows = make_sent(50)
    written(rows, tmp_path / "day.parquet")
    there = [name for name in names if name in layout.schema().names]
    assert read(tmp_path / "day.parquet", names).equals(rows.select(there).combine_chunks())


def test_only_what_a_column_is_made_of_is_read() -> None:
    rules = derived.rules_but(["lng"])
    assert derived.needed(["vin", "lat", "lng"], rules) == ["vin", "lat_e7", "lng"]
    assert sorted(derived.needed(["odometer", GNSS], rules)) == sorted({"odometer_source", *ODOMETERS[:3]})
    assert derived.needed(["lat", "odometer"], ()) == ["lat", "odometer"]


def test_file_and_manifest_say_how_to_get_the_columns(tmp_path: Path) -> None:
    facts = written(make_sent(9), tmp_path / "day.parquet")
    text = pq.read_metadata(tmp_path / "day.parquet").metadata[derived.KEY.encode()]
    said = json.loads(text)
    assert tuple(said) == SHORT
    assert said["speed_mph"] == "speed_kph*1000/1609.344"
    assert said["odometer"] == "odometer_<odometer_source>_m/1609.344"
    manifest = make_manifest(DAY, 1, "STANDARD", facts, NOW)
    body = json.loads(manifest.to_json())
    assert (body["derived"], body["schema_version"]) == (said, 3)
    assert body["columns"]["odometer"]["non_null"] > 0, "sums are of the columns that rows have"
    assert "lat_e7" not in body["columns"]
    assert Manifest.from_json(manifest.to_json(), "m") == manifest


def test_a_footer_is_short(tmp_path: Path) -> None:
    """A day of the VED cars has 8,600 rows: 860 bytes more here are a tenth of a byte for each."""
    facts = written(make_sent(2_000), tmp_path / "day.parquet")
    assert len(pq.read_metadata(tmp_path / "day.parquet").metadata[derived.KEY.encode()]) < 420
    assert facts.footer_byte_count < 4_500


def test_groups_can_be_passed_over_by_vehicle_time_and_place(tmp_path: Path) -> None:
    written(make_sent(200), tmp_path / "day.parquet")
    metadata = pq.read_metadata(tmp_path / "day.parquet")
    group = metadata.row_group(0)
    having = {
        metadata.schema.names[place] for place in range(group.num_columns) if group.column(place).statistics
    }
    assert having == {
        "vin", "time", "device_id", "event_id", "received_at", "lat_e7", "lng_e7", "speed_kph",
        "odometer_gnss_m", "odometer_can_m", "odometer_obd_m",
    }  # fmt: skip


def test_a_manifest_of_version_1_is_read(tmp_path: Path) -> None:
    facts = written(make_sent(9), tmp_path / "day.parquet", stated=SHORT)
    manifest = make_manifest(DAY, 1, "STANDARD", facts, NOW)
    body = json.loads(manifest.to_json())
    assert body.pop("derived") == {}
    old = json.dumps(body | {"schema_version": 1}).encode()
    assert Manifest.from_json(old, "m") == manifest


def test_a_column_that_a_file_lacks_without_a_word_is_null(tmp_path: Path) -> None:
    rows = make_sent(9).drop_columns(["odometer", "rpm"])
    old_file(rows, tmp_path / "old.parquet")
    found = read(tmp_path / "old.parquet", ["vin", "odometer", "rpm"])
    assert found.column_names == ["vin"]
    whole = parquet.conformed(found, layout.schema())
    assert whole.column("odometer").null_count == 9


@pytest.mark.parametrize(
    ("said", "lacking", "message"),
    [
        ('{"rpm": "a later release knows"}', "rpm", "leaves out rpm, which this release"),
        ("[1]", "odometer", "do not say which columns"),
        ("{", "odometer", "do not say which columns"),
        ('{"odometer": ""}', GNSS, "leaves out odometer and has not what that is derived from"),
        ('{"lat": "lat_e7/10000000", "odometer": ""}', "lat", "leaves out lat and has not what"),
    ],
)
def test_what_cannot_be_derived_is_never_taken_for_null(
    tmp_path: Path, said: str, lacking: str, message: str
) -> None:
    rows = make_sent(9).drop_columns(list({"odometer", lacking}))
    old_file(rows, tmp_path / "day.parquet", {derived.KEY: said})
    with pytest.raises(DamagedError, match=f"day.parquet: .*{message}"):
        read(tmp_path / "day.parquet")


def test_a_file_is_smaller_by_every_shorter_column(tmp_path: Path) -> None:
    """A drive as real cars send it: metres rise, fixes are told several times, and little else changes."""
    count = 20_000
    chance = np.random.default_rng(1)
    metres = 80_000_000 + np.cumsum(chance.integers(0, 30, count))
    kph = np.clip(np.cumsum(chance.normal(0, 1, count)), 0, 130).round()
    places = (422_000_000 + np.cumsum(chance.integers(-9, 9, count))).repeat(5)[:count]
    rows = make_rows(
        count, odometer=metres / 1609.344, odometer_gnss_m=metres, odometer_source=["gnss"] * count,
        speed_mph=(kph * 1000 / 1609.344).astype(np.float32), lat=places / 1e7, lng=-places / 1e7,
        content_hash=chance.integers(-(2**63), 2**63, count),
    )  # fmt: skip
    whole = written(rows, tmp_path / "whole.parquet", stated=SHORT)
    less = {
        name: written(rows, tmp_path / "less.parquet", stated=[each for each in SHORT if each != name])
        for name in ("lat", "speed_mph", "odometer")
    }
    least = written(rows, tmp_path / "least.parquet")
    assert all(facts.content == whole.content for facts in (*less.values(), least))
    assert all(least.byte_count < facts.byte_count < whole.byte_count for facts in less.values())
    assert least.byte_count < 0.75 * whole.byte_count


@pytest.mark.parametrize(("repeats", "encoding"), [(1, "DELTA_BINARY_PACKED"), (5, "PLAIN")])
def test_positions_are_encoded_by_how_often_fixes_repeat(tmp_path: Path, repeats: int, encoding: str) -> None:
    places = (422_000_000 + np.arange(0, 9_000, 9)).repeat(repeats)[:1_000]
    written(make_rows(1_000, lat=places / 1e7, lng=places / 1e7), tmp_path / "day.parquet")
    metadata = pq.read_metadata(tmp_path / "day.parquet")
    for name in ("lat_e7", "lng_e7"):
        column = metadata.row_group(0).column(metadata.schema.names.index(name))
        assert set(column.encodings) == {"RLE", encoding}


def test_what_a_writer_wrongly_shortened_is_found_when_the_file_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived, "differing", lambda *_: [])
    own = make_rows(1, odometer=[1.5], lat=[1e-9], odometer_source=["partner"], content_hash=[99])
    rows = pa.concat_tables([make_sent(40), own])
    with pytest.raises(DamagedError, match=r"differs from its manifest in column lat, column odometer$"):
        verification.read_back(*stored(rows, tmp_path))


@pytest.mark.parametrize("fault", ["miles", "step"])
def test_a_reader_that_reckons_otherwise_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    storage, manifest = stored(make_sent(40), tmp_path)
    verification.read_back(storage, manifest)
    if fault == "miles":
        monkeypatch.setattr(miles, "METRES_PER_MILE", np.nextafter(miles.METRES_PER_MILE, 2_000))
        column = "odometer"
    else:
        column = "maf_gps"
        step = BY_NAME[column]
        wrong = integers.Integers(step._replace(divisor=float(np.nextafter(step.divisor, 0) - 1e-6)))
        monkeypatch.setattr(derived, "RULES", {**derived.RULES, column: wrong})
    with pytest.raises(DamagedError, match=rf"differs from its manifest in column {column}$"):
        verification.read_back(storage, manifest)


def stored(rows: pa.Table, folder: Path) -> tuple[FolderStorage, Manifest]:
    """A file of the rows in a storage."""
    facts = written(rows, folder / "day.parquet")
    storage = FolderStorage(folder / "archive")
    manifest = make_manifest(DAY, 1, "STANDARD", facts, NOW)
    storage.put(manifest.key, folder / "day.parquet", storage_class="STANDARD")
    return storage, manifest


def test_numbers_that_fleets_send_are_read_as_they_were_sent(tmp_path: Path) -> None:
    rows = make_rows(
        2, speed_mph=[single(37 * 1000 / 1609.344), None], altitude_ft=[single(-12 / 0.3048), 0.0],
        battery_v=[single(12.345), single(0.001)], lat=[42.2876128, None],
    )  # fmt: skip
    written(rows, tmp_path / "day.parquet")
    raw = pq.read_table(tmp_path / "day.parquet", columns=["lat_e7", "speed_kph", "altitude_m", "battery_mv"])
    assert raw.to_pylist() == [
        {"lat_e7": 422_876_128, "speed_kph": 37, "altitude_m": -12, "battery_mv": 12_345},
        {"lat_e7": None, "speed_kph": None, "altitude_m": 0, "battery_mv": 1},
    ]
    assert_same(read(tmp_path / "day.parquet"), rows)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    first, again = (written(make_sent(500), tmp_path / name) for name in ("first.parquet", "again.parquet"))
    assert first == again
