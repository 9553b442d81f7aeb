"""Folders that are refused as a whole, each with its reason."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.warehouse.backfill.making import make_history, write_files, write_manifest
from warehouse.backfill.errors import FolderError
from warehouse.backfill.folder import open_folder
from warehouse.backfill.schema import SCHEMAS, SERVICE_RECORDS, SIGNALS, VEHICLES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_history().write(tmp_path / "history")


def test_the_same_files_are_the_same_load_wherever_they_lie(folder: Path, tmp_path: Path):
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert open_folder(folder).load_id == open_folder(copy).load_id
    assert open_folder(folder).row_counts == {VEHICLES: 2, SIGNALS: 6, SERVICE_RECORDS: 1}
    other = make_history().write(tmp_path / "other")
    assert open_folder(other).load_id != open_folder(folder).load_id


def _without_column(folder: Path) -> None:
    _rewrite(folder, lambda table: table.drop_columns(["rest_v"]))


def _with_other_type(folder: Path) -> None:
    _rewrite(folder, lambda table: _cast(table, "start_count", pa.int64()))


def _with_other_order(folder: Path) -> None:
    _rewrite(folder, lambda table: table.select([*reversed(table.column_names)]))


def _with_foreign_column(folder: Path) -> None:
    _rewrite(folder, lambda table: table.append_column("damage", pa.array([0.5] * len(table))))


def _with_local_times(folder: Path) -> None:
    _rewrite(folder, lambda table: _cast(table, "known_at", pa.timestamp("ms")))


def _rewrite(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    tables = {name: pq.read_table(folder / name) for name in SCHEMAS}
    write_files(folder, tables | {SIGNALS: change(tables[SIGNALS])})


def _cast(table: pa.Table, name: str, kind: pa.DataType) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, table[name].cast(kind))


def _with_changed_byte(folder: Path) -> None:
    content = bytearray((folder / SIGNALS).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / SIGNALS).write_bytes(content)


def _that_is_no_parquet(folder: Path) -> None:
    (folder / VEHICLES).write_text("vin,origin\n")
    write_manifest(folder, {VEHICLES: 2, SIGNALS: 6, SERVICE_RECORDS: 1})


def _with_fewer_rows(folder: Path) -> None:
    write_manifest(folder, {VEHICLES: 2, SIGNALS: 7, SERVICE_RECORDS: 1})


def _manifest(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "manifest.json").write_text(content) and None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / SERVICE_RECORDS).unlink(), "has no service_records.parquet"),
        (lambda folder: (folder / "manifest.json").unlink(), "has no manifest.json"),
        (shutil.rmtree, "is no folder"),
        (_with_changed_byte, "SHA-256 differs"),
        (_that_is_no_parquet, "vehicles.parquet cannot be read as Parquet"),
        (_with_fewer_rows, "holds 6 rows, manifest.json says 7"),
        (_without_column, "missing: rest_v"),
        (_with_foreign_column, "not known: damage"),
        (_with_other_order, "their order is vin, date"),
        (_with_other_type, "start_count is int64, it ought to be uint16"),
        (_with_local_times, "known_at is timestamp"),
        (_manifest("no json"), "does not name the files"),
        (_manifest("[]"), "does not name the files"),
        (_manifest('{"files": []}'), "does not name the files"),
        (_manifest('{"files": {"vehicles.parquet": 3}}'), "SHA-256 differs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_folder_that_is_not_whole_is_refused(folder: Path, spoil: Callable[[Path], object], said: str):
    spoil(folder)
    with pytest.raises(FolderError, match=said) as refused:
        open_folder(folder)
    assert refused.value.exit_code == 2


def test_a_damaged_page_is_noticed_where_the_manifest_names_it(folder: Path):
    """The writer's disk failed before the manifest was made: the checksum agrees, the page does not."""
    data = (folder / SIGNALS).read_bytes()
    start = pq.ParquetFile(folder / SIGNALS).metadata.row_group(0).column(6).data_page_offset
    (folder / SIGNALS).write_bytes(data[: start + 8] + b"\xff" * 24 + data[start + 32 :])
    write_manifest(folder, {VEHICLES: 2, SIGNALS: 6, SERVICE_RECORDS: 1})
    with pytest.raises(FolderError, match=r"component_day_signals.* cannot be read"):
        list(open_folder(folder).batches(SIGNALS))


def test_a_list_may_name_its_elements_as_its_writer_likes(folder: Path):
    def renamed(table: pa.Table) -> pa.Table:
        kind = pa.list_(pa.field("array_element", pa.string()))
        return _cast(table, "dtc_codes", kind)

    _rewrite(folder, renamed)
    [batch] = open_folder(folder).batches(SIGNALS)
    assert batch["dtc_codes"].to_pylist() == [["P0562"]] * 6


def test_files_that_are_not_loaded_need_not_be_there(folder: Path):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["oracle/failures.parquet"] = {"sha256": "0", "rows": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert open_folder(folder).row_counts[VEHICLES] == 2
