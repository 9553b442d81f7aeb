"""Mapping files: what they say, and what refuses them."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from telematics.clock import epoch_ms
from warehouse.backfill.telemetry import MappingError, SourceError
from warehouse.backfill.telemetry.fields import FIELDS, Linear
from warehouse.backfill.telemetry.mapping import TimeForm, load_mapping, own_mapping, parse_mapping
from warehouse.backfill.telemetry.sources import is_readable, open_source

DOCUMENT: dict[str, Any] = {"time": {"column": "t"}, "vehicle": {"vin": "v"}}


def test_the_example_of_the_documentation_is_a_mapping(repository: Path, tmp_path: Path):
    examples = re.findall(r"```toml\n(.*?)```", (repository / "docs/backfill.md").read_text(), re.DOTALL)
    assert len(examples) >= 2
    for number, example in enumerate(examples):
        path = tmp_path / f"{number}.toml"
        path.write_text(example)
        mapping, content = load_mapping(path)
        assert mapping.values
        assert content.decode() == example


def test_the_documentation_names_every_column(repository: Path):
    text = (repository / "docs/backfill.md").read_text()
    assert [name for name in FIELDS if f"`{name}`" not in text] == []


def test_units_are_found_by_name_and_turned_into_ours():
    columns = {
        "speed_mph": {"column": "a", "unit": "KM/H"}, "coolant_c": {"column": "b", "unit": "°F"},
        "battery_v": {"column": "c", "unit": "mV"}, "rpm": "d",
    }  # fmt: skip
    units = {value.target: value.unit for value in parse_mapping(DOCUMENT | {"columns": columns}).values}
    assert units["speed_mph"].factor == pytest.approx(0.621371, rel=1e-6)
    assert units["coolant_c"].factor * 212 + units["coolant_c"].offset == pytest.approx(100)
    assert (units["battery_v"], units["rpm"]) == (Linear(0.001), Linear(1))


def test_epochs_are_counts_since_1970():
    time = parse_mapping(DOCUMENT | {"time": {"column": "t", "format": "epoch_s"}}).time
    assert (time.form, time.since_ms, time.unit_ms) == (TimeForm.SINCE, 0, 1000)
    since = {"column": "t", "format": "since", "since": datetime(2017, 11, 1, tzinfo=UTC), "unit": "d"}
    time = parse_mapping(DOCUMENT | {"time": since}).time
    assert (time.since_ms, time.unit_ms) == (epoch_ms(datetime(2017, 11, 1, tzinfo=UTC)), 86_400_000)


def test_our_own_names_need_no_mapping():
    mapping = own_mapping(["time", "device_id", "vin", "lat", "content_hash", "dtc_known", "origin", "odd"])
    assert mapping.columns == ["time", "vin", "device_id", "lat", "content_hash", "dtc_known"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"time": None}, "time: it is missing"),
        ({"time": {}}, "column: it is missing"),
        ({"time": {"column": "t", "format": "guess"}}, "format: it is one of"),
        ({"time": {"column": "t", "format": "local", "zone": "Mars/Base"}}, "zone: no such zone"),
        ({"time": {"column": "t", "format": "local", "zone": "../x"}}, "zone: no such zone"),
        ({"time": {"column": "t", "pattern": "%Y"}}, "pattern: it goes with"),
        ({"time": {"column": "t", "format": "since", "unit": "d"}}, "since and unit"),
        ({"time": {"column": "t", "format": "since", "since": "soon", "unit": "d"}}, "since: it has to be a"),
        ({"time": {"column": "t", "colum": "t"}}, "colum: no such entry"),
        ({"vehicle": {}}, "vin: name the column"),
        ({"vehicle": {"vin": "v", "vins": {"7": "NOVIN"}}}, "7: a VIN has 17"),
        ({"columns": {"speed": "s"}}, "speed: no such column"),
        ({"columns": {"speed_mph": {"column": "s", "unit": "furlong"}}}, "unit: it is one of mph"),
        ({"columns": {"rpm": 7}}, "rpm: name a column"),
        ({"columns": {"ignition": {"column": "s", "unit": "V"}}}, "none: the column has no unit"),
        ({"constants": {"lat": 91.0}}, "lat: the value does not fit"),
        ({"constants": {"ignition": 1}}, "ignition: the value does not fit"),
        ({"constants": {"raw_data": "{}"}}, "raw_data: no such column"),
        ({"columns": {"rpm": "r"}, "constants": {"rpm": 1}}, "rpm is a column already"),
        ({"source": "a b"}, "source: it is 1 to 64"),
        ({"null_values": "x"}, "null_values: it has to be a list"),
        ({"delimiter": ";;"}, "delimiter: it is one"),
        ({"unknown_columns": "drop"}, "unknown_columns: it is one of"),
        ({"more": 1}, "more: no such entry"),
    ],
)
def test_an_entry_that_cannot_be_followed_is_named(change: dict[str, Any], named: str):
    document = {name: value for name, value in (DOCUMENT | change).items() if value is not None}
    with pytest.raises(MappingError, match=re.escape(named)):
        parse_mapping(document)


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path):
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path / "nothing.toml")
    (tmp_path / "m.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(MappingError, match="no TOML"):
        load_mapping(tmp_path / "m.toml")


@pytest.mark.parametrize(
    ("name", "is_read"),
    [
        ("a.csv", True), ("A.CSV.GZ", True), ("b.jsonl.zst", True), ("c.parquet", True), ("d.json.bz2", True),
        ("c.parquet.gz", False), ("readme.md", False), ("v0001-x.manifest.json", False), ("csv", False),
    ],
)  # fmt: skip
def test_a_name_says_the_format(name: str, is_read: bool):
    assert is_readable(name) is is_read


def test_a_folder_is_read_in_one_order_and_known_by_its_content(tmp_path: Path):
    for name in ("b.csv", "a/z.csv", "a/c.ndjson", ".hidden/x.csv", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    source = open_source(None, str(tmp_path))  # type: ignore[arg-type] - no S3, no settings
    assert [file.name for file in source.files] == ["a/c.ndjson", "a/z.csv", "b.csv"]
    assert source.skipped == ("notes.md",)
    before = source.digest(b"mapping")
    again = open_source(None, str(tmp_path))  # type: ignore[arg-type]
    assert again.digest(b"mapping") == before != again.digest(b"other")
    (tmp_path / "b.csv").write_text("changed")
    assert open_source(None, str(tmp_path)).digest(b"mapping") != before  # type: ignore[arg-type]


def test_a_name_that_is_no_text_is_passed_over(tmp_path: Path):
    for name in (b"h.csv", b"caf\xe9.csv"):
        (tmp_path / os.fsdecode(name)).write_text("time,vin\n")
    source = open_source(None, str(tmp_path))  # type: ignore[arg-type]
    assert ([file.name for file in source.files], source.skipped) == (["h.csv"], ("caf?.csv",))


def test_a_file_that_changes_while_it_is_loaded_ends_the_load(tmp_path: Path):
    (tmp_path / "h.csv").write_text("time,vin\n")
    source = open_source(None, str(tmp_path))  # type: ignore[arg-type]
    (tmp_path / "h.csv").write_text("time,vin\nmore\n")
    with pytest.raises(SourceError, match="was changed while it was loaded"), source.local(source.files[0]):
        pass
