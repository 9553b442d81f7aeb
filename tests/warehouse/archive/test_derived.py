"""The odometer in miles is left out of a file only where its metres say it, and comes back bit by bit."""

import json
import random
import struct
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.measurement import ODOMETER_COLUMNS
from ingest.sink.rows import stamp_odometer
from telematics.names import OdometerSource
from telematics.units import miles_from_metres
from warehouse.archive import derived, layout, parquet, sums, verification
from warehouse.archive.errors import DamagedError, ParityError
from warehouse.archive.folder import FolderStorage
from warehouse.archive.manifest import Manifest, make_manifest

DAY: Final = date(2024, 1, 2)
GNSS, CAN, OBD = "odometer_gnss_m", "odometer_can_m", "odometer_obd_m"
_EDGES: Final = (0, 1, -1, 2**53 - 1, 2**53 + 1, 2**62 + 1, 2**63 - 1, -(2**63))


def make_rows(count: int, **columns: Any) -> pa.Table:
    """Rows of one vehicle, a second apart; columns that are not given are null."""
    start = datetime(2024, 1, 2, tzinfo=UTC)
    given = {
        "time": [start + timedelta(seconds=number) for number in range(count)],
        "received_at": [start] * count, "device_id": ["353000000000001"] * count,
        "vin": ["WHTEST00000000001"] * count, "event_id": [0] * count, "content_hash": range(count),
        "stream_position": range(count), "dtc_codes": [[]] * count, "dtc_known": [False] * count,
        "raw_data": [""] * count,
    } | columns  # fmt: skip
    arrays = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(count, field.type)
        for field in layout.schema()
    ]
    return pa.Table.from_arrays(arrays, schema=layout.schema())


def make_derivable(count: int, seed: int = 1) -> pa.Table:
    """Rows as the sink writes them: every source, without a source, and without the source's metres."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        row: dict[str, Any] = {
            name: chance.randrange(10**9) for name in (GNSS, CAN, OBD) if chance.random() < 0.8
        }
        if chance.random() < 0.9:
            stamp_odometer(row, chance.choice(list(OdometerSource)))
        rows.append(row)
    names = (GNSS, CAN, OBD, "odometer", "odometer_source")
    return make_rows(count, **{name: [row.get(name) for row in rows] for name in names})


def bits(values: list[float | None]) -> list[bytes | None]:
    return [None if value is None else struct.pack("<d", value) for value in values]


def bits_of(table: pa.Table) -> list[bytes | None]:
    return bits(table.column("odometer").to_pylist())


def written(rows: pa.Table, path: Path, *, leaves_out: bool = True) -> parquet.FileFacts:
    return parquet.write_rows(rows.to_batches(max_chunksize=700), path, leaves_out_odometer=leaves_out)


def read(path: Path, names: list[str] | None = None) -> pa.Table:
    with parquet.open_file(str(path)) as file:
        groups = [parquet.read_group(file, number, path.name, names) for number in range(file.num_row_groups)]
        return pa.concat_tables(groups)


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "ROW_GROUP_ROWS", 1_000)


@pytest.mark.parametrize("source", list(OdometerSource))
def test_miles_are_the_sinks_own_to_the_last_bit(source: OdometerSource) -> None:
    chance = random.Random(source.value)
    metres = [*_EDGES, *(chance.randrange(-(2**63), 2**63) for _ in range(500))]
    metres += [chance.randrange(10**9) for _ in range(5_000)]
    column = ODOMETER_COLUMNS[source]
    stamped: list[dict[str, Any]] = [{column: each} for each in metres]
    for row in stamped:
        stamp_odometer(row, source)
    others = {name: [7] * len(metres) for name in (GNSS, CAN, OBD)}
    rows = make_rows(len(metres), **(others | {column: metres, "odometer_source": [source] * len(metres)}))
    assert bits(derived.odometer(rows).to_pylist()) == bits([row["odometer"] for row in stamped])


@pytest.mark.parametrize(
    ("source", "metres"), [(None, 1), ("partner", 1), ("gnss", None), (None, None), ("odometer_gnss_m", 1)]
)
def test_without_a_source_or_its_metres_there_are_no_miles(source: str | None, metres: int | None) -> None:
    rows = make_rows(1, odometer_source=[source], odometer_gnss_m=[metres], odometer_can_m=[5])
    assert derived.odometer(rows).to_pylist() == [None]
    assert derived.is_derivable(rows)


@pytest.mark.parametrize(
    "odd",
    [
        {"odometer": np.nextafter(miles_from_metres(19_868_311), 0)}, {"odometer": None},
        {"odometer": float("nan")}, {"odometer_source": None}, {"odometer_source": "partner"},
        {"odometer_source": "can"}, {GNSS: None}, {GNSS: 19_868_312},
        {"odometer": -0.0, GNSS: 0},
    ],
)  # fmt: skip
def test_one_odd_row_keeps_the_column(odd: dict[str, Any], tmp_path: Path) -> None:
    fit = {"odometer": miles_from_metres(19_868_311), "odometer_source": "gnss", GNSS: 19_868_311}
    rows = [fit] * 30
    assert derived.is_derivable(make_rows(30, **{name: [row[name] for row in rows] for name in fit}))
    rows[17] = fit | odd
    table = make_rows(30, **{name: [row[name] for row in rows] for name in fit})
    assert not derived.is_derivable(table)
    with pytest.raises(ParityError, match="odometer"):
        written(table, tmp_path / "no.parquet")
    written(table, tmp_path / "kept.parquet", leaves_out=False)
    assert bits_of(read(tmp_path / "kept.parquet")) == bits_of(table)


@pytest.mark.usefixtures("small_groups")
def test_a_file_without_the_column_gives_every_row_as_it_was(tmp_path: Path) -> None:
    rows = make_derivable(2_500)
    facts = written(rows, tmp_path / "day.parquet")
    stored = pq.read_table(tmp_path / "day.parquet")
    assert "odometer" not in stored.column_names
    assert len(stored.column_names) == len(layout.schema().names) - 1
    assert 0 < rows.column("odometer").null_count < 2_500
    found = read(tmp_path / "day.parquet")
    assert bits_of(found) == bits_of(rows)
    assert parquet.conformed(found, layout.schema()).equals(rows.combine_chunks())
    assert sums.of_batches([rows]).differences(facts.content) == []
    with parquet.open_file(str(tmp_path / "day.parquet")) as file:
        assert file.num_row_groups == 3
        assert sums.of_batches(parquet.batches(file, "day")).differences(facts.content) == []
        assert len(parquet.row_groups(file.metadata, "day")) == 3
        # the order is told by places, and these moved
        places = [column.column_index for column in file.metadata.row_group(0).sorting_columns]
        assert [file.metadata.schema.names[place] for place in places] == list(layout.ORDER)


@pytest.mark.parametrize("names", [["odometer"], ["time", "odometer", GNSS], ["vin", "speed_mph"]])
def test_any_choice_of_columns_can_be_read(tmp_path: Path, names: list[str]) -> None:
    rows = make_derivable(50)
    written(rows, tmp_path / "day.parquet")
    assert read(tmp_path / "day.parquet", names).equals(rows.select(names).combine_chunks())


def test_the_file_says_in_words_how_to_get_the_miles_and_the_manifest_too(tmp_path: Path) -> None:
    facts = written(make_derivable(9), tmp_path / "day.parquet")
    said = json.loads(pq.read_metadata(tmp_path / "day.parquet").metadata[derived.KEY.encode()])
    assert list(said) == ["odometer"]
    assert said["odometer"].startswith("odometer_<odometer_source>_m / 1609.344 miles")
    manifest = make_manifest(DAY, 1, "STANDARD", facts, datetime(2026, 1, 1, tzinfo=UTC))
    body = json.loads(manifest.to_json())
    assert (body["derived"], body["schema_version"]) == (said, 2)
    assert body["columns"]["odometer"]["non_null"] > 0, "sums are of all columns"
    assert Manifest.from_json(manifest.to_json(), "m") == manifest


def test_a_file_with_the_column_says_nothing_and_an_old_manifest_is_read(tmp_path: Path) -> None:
    facts = written(make_derivable(9), tmp_path / "day.parquet", leaves_out=False)
    assert derived.KEY.encode() not in pq.read_metadata(tmp_path / "day.parquet").metadata
    manifest = make_manifest(DAY, 1, "STANDARD", facts, datetime(2026, 1, 1, tzinfo=UTC))
    body = json.loads(manifest.to_json())
    assert body.pop("derived") == {}
    old = json.dumps(body | {"schema_version": 1}).encode()
    assert Manifest.from_json(old, "m") == manifest


def test_a_column_that_a_file_lacks_without_a_word_is_null(tmp_path: Path) -> None:
    rows = make_derivable(9).drop_columns(["odometer", "rpm"])
    pq.write_table(rows, tmp_path / "old.parquet", store_schema=False)
    found = read(tmp_path / "old.parquet", ["vin", "odometer", "rpm"])
    assert found.column_names == ["vin"]
    whole = parquet.conformed(found, layout.schema())
    assert whole.column("odometer").null_count == 9


@pytest.mark.parametrize(
    ("said", "lacking", "message"),
    [
        ('{"speed_mph": "a later release knows"}', "speed_mph", "leaves out speed_mph, which this release"),
        ("[1]", "odometer", "do not say which columns"),
        ("{", "odometer", "do not say which columns"),
        ('{"odometer": ""}', GNSS, "has not what it is derived from"),
    ],
)
def test_what_cannot_be_derived_is_never_taken_for_null(
    tmp_path: Path, said: str, lacking: str, message: str
) -> None:
    rows = make_derivable(9).drop_columns(list({"odometer", lacking}))
    pq.write_table(rows.replace_schema_metadata({derived.KEY: said}), tmp_path / "day.parquet")
    with pytest.raises(DamagedError, match=f"day.parquet: .*{message}"):
        read(tmp_path / "day.parquet")


def test_a_file_is_smaller_without_it(tmp_path: Path) -> None:
    """A drive as real cars send it: metres rise, and little else changes."""
    count = 20_000
    chance = np.random.default_rng(1)
    metres = 80_000_000 + np.cumsum(chance.integers(0, 30, count))
    speed = np.clip(np.cumsum(chance.normal(0, 1, count)), 0, 80).round()
    rows = make_rows(
        count, odometer=metres / 1609.344, odometer_gnss_m=metres, odometer_source=["gnss"] * count,
        speed_mph=speed.astype(np.float32), content_hash=chance.integers(-(2**63), 2**63, count),
        lat=(42.2 + np.cumsum(chance.integers(-9, 9, count)) * 1e-7).round(7),
    )  # fmt: skip
    whole = written(rows, tmp_path / "whole.parquet", leaves_out=False)
    less = written(rows, tmp_path / "less.parquet")
    assert less.content == whole.content
    assert less.byte_count < 0.9 * whole.byte_count


def planted(monkeypatch: pytest.MonkeyPatch, *, knows: bool) -> None:
    """A writer that leaves out what it must not, or a reader that reckons in other miles."""
    if knows:
        monkeypatch.setattr(derived, "is_derivable", lambda _: True)
    else:
        monkeypatch.setattr(derived, "METRES_PER_MILE", np.nextafter(derived.METRES_PER_MILE, 2_000))


@pytest.mark.parametrize("knows", [True, False])
def test_a_wrong_derivation_is_found_when_the_file_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    rows = make_derivable(40)
    if knows:
        partner = make_rows(1, odometer=[1.5], odometer_source=["partner"], content_hash=[99])
        rows = pa.concat_tables([rows, partner])
        planted(monkeypatch, knows=True)
    facts = written(rows, tmp_path / "day.parquet")
    storage = FolderStorage(tmp_path / "archive")
    manifest = make_manifest(DAY, 1, "STANDARD", facts, datetime(2026, 1, 1, tzinfo=UTC))
    storage.put(manifest.key, tmp_path / "day.parquet", storage_class="STANDARD")
    if not knows:
        verification.read_back(storage, manifest)
        planted(monkeypatch, knows=False)
    with pytest.raises(DamagedError, match=r"differs from its manifest in column odometer$"):
        verification.read_back(storage, manifest)


def test_only_the_columns_of_the_one_odometer_take_part() -> None:
    assert set(derived.needed(["odometer"])) == {*ODOMETER_COLUMNS.values(), "odometer_source"}
