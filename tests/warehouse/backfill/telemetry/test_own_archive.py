"""Files of our own archive load with their odometer, also where they leave it out. No server."""

from pathlib import Path

import pyarrow.parquet as pq

from telematics.units import miles_from_metres
from tests.warehouse.archive.test_derived import make_rows
from tests.warehouse.backfill.telemetry.judging import IMEI, VIN, Read
from warehouse.archive import derived, parquet
from warehouse.backfill.telemetry.mapping import parse_mapping

METRES = [19_868_311, 19_868_312, None, 5]
SOURCES = ["gnss", "can", "gnss", None]
MILES = [miles_from_metres(19_868_311), miles_from_metres(77), None, None]


def write_archived(path: Path) -> None:
    rows = make_rows(
        4, vin=[VIN] * 4, device_id=[IMEI] * 4, odometer_gnss_m=METRES, odometer_can_m=[None, 77, 3, None],
        odometer_source=SOURCES, odometer=MILES,
    )  # fmt: skip
    parquet.write_rows(rows.to_batches(), path, leaves_out_odometer=True)
    assert "odometer" not in pq.read_schema(path).names


def test_a_file_that_leaves_the_odometer_out_has_it(tmp_path: Path) -> None:
    write_archived(tmp_path / "day.parquet")
    read = Read(tmp_path / "day.parquet")
    assert read.rejects == []
    assert read.values("odometer") == MILES
    assert read.values("odometer_source") == SOURCES
    assert read.columns.mapped["odometer"] == "odometer"


def test_a_mapping_may_name_it_alone(tmp_path: Path) -> None:
    write_archived(tmp_path / "day.parquet")
    mapping = parse_mapping(
        {"time": {"column": "time"}, "vehicle": {"vin": "vin"}, "columns": {"odometer": "odometer"}}
    )
    read = Read(tmp_path / "day.parquet", mapping)
    assert (read.rejects, read.values("odometer")) == ([], MILES)


def test_a_file_of_ours_that_others_wrote_anew_loads_what_it_still_has(tmp_path: Path) -> None:
    write_archived(tmp_path / "day.parquet")
    table = pq.read_table(tmp_path / "day.parquet").drop_columns(["odometer_can_m"])
    assert derived.KEY.encode() in table.schema.metadata, "pyarrow hands the word on"
    pq.write_table(table, tmp_path / "less.parquet")
    read = Read(tmp_path / "less.parquet")
    assert (read.rejects, read.values("odometer"), read.values("odometer_gnss_m")) == ([], [None] * 4, METRES)
    own = table.append_column("odometer", [[1.0, 2.0, 3.0, 4.0]])
    pq.write_table(own, tmp_path / "own.parquet")
    assert Read(tmp_path / "own.parquet").values("odometer") == [1.0, 2.0, 3.0, 4.0]


def test_a_file_of_a_later_release_is_set_aside_rather_than_loaded_without(tmp_path: Path) -> None:
    write_archived(tmp_path / "day.parquet")
    table = pq.read_table(tmp_path / "day.parquet").drop_columns(["speed_mph"])
    word = {derived.KEY: '{"odometer": "", "speed_mph": "…"}'}
    pq.write_table(table.replace_schema_metadata(word), tmp_path / "later.parquet")
    read = Read(tmp_path / "later.parquet")
    [(number, _, detail)] = read.rejects
    assert (number, read.table.num_rows) == (0, 0)
    assert "leaves out speed_mph" in detail
