"""Files of our own archive load with all columns, also those that they have in a shorter form. No server."""

from pathlib import Path

import pyarrow.parquet as pq

from telematics.units import miles_from_metres, mph_from_kph
from tests.warehouse.archive.making import make_rows, single
from tests.warehouse.backfill.telemetry.judging import IMEI, VIN, Read
from warehouse.archive import derived, parquet
from warehouse.backfill.telemetry.mapping import parse_mapping

METRES = [19_868_311, 19_868_312, None, 5]
SOURCES = ["gnss", "can", "gnss", None]
LATS = [42.2876128, 42.2876129, 42.287613, 42.287613]
LNGS = [-83.6868378, -83.68683789, -83.6868378, -83.6868378]
"""One with more digits than devices have, so the file keeps the column."""
SPEEDS = [single(mph_from_kph(kph)) for kph in (37, 38, 0, 120)]
MILES = [miles_from_metres(19_868_311), miles_from_metres(77), None, None]


def write_archived(path: Path) -> None:
    rows = make_rows(
        4, vin=[VIN] * 4, device_id=[IMEI] * 4, odometer_gnss_m=METRES, odometer_can_m=[None, 77, 3, None],
        odometer_source=SOURCES, odometer=MILES, lat=LATS, lng=LNGS, speed_mph=SPEEDS,
    )  # fmt: skip
    parquet.write_rows(rows.to_batches(), path, stated=["lng"])
    assert not {"odometer", "lat", "speed_mph"} & set(pq.read_schema(path).names)


def test_a_file_of_shorter_columns_has_them_whole(tmp_path: Path) -> None:
    write_archived(tmp_path / "day.parquet")
    read = Read(tmp_path / "day.parquet")
    assert read.rejects == []
    assert read.values("odometer") == MILES
    assert read.values("odometer_source") == SOURCES
    assert read.columns.mapped["odometer"] == "odometer"
    assert (read.values("lat"), read.values("lng"), read.values("speed_mph")) == (LATS, LNGS, SPEEDS)
    assert {"lat", "speed_mph"} <= read.columns.mapped.keys()
    assert not {"lat_e7", "speed_kph"} & {*read.columns.mapped.values(), *read.columns.ignored}


def test_a_mapping_may_name_it_alone(tmp_path: Path) -> None:
    write_archived(tmp_path / "day.parquet")
    mapping = parse_mapping(
        {"time": {"column": "time"}, "vehicle": {"vin": "vin"}, "columns": {"odometer": "odometer"}}
    )
    read = Read(tmp_path / "day.parquet", mapping)
    assert (read.rejects, read.values("odometer")) == ([], MILES)


def test_a_file_of_ours_that_others_wrote_anew_loads_what_it_still_has(tmp_path: Path) -> None:
    write_archived(tmp_path / "day.parquet")
    table = pq.read_table(tmp_path / "day.parquet").drop_columns(["odometer_can_m", "speed_kph"])
    assert derived.KEY.encode() in table.schema.metadata, "pyarrow hands the word on"
    pq.write_table(table, tmp_path / "less.parquet")
    read = Read(tmp_path / "less.parquet")
    assert (read.rejects, read.values("odometer"), read.values("odometer_gnss_m")) == ([], [None] * 4, METRES)
    assert (read.values("speed_mph"), read.values("lat")) == ([None] * 4, LATS)
    own = table.append_column("odometer", [[1.0, 2.0, 3.0, 4.0]])
    pq.write_table(own, tmp_path / "own.parquet")
    assert Read(tmp_path / "own.parquet").values("odometer") == [1.0, 2.0, 3.0, 4.0]


def test_a_file_of_a_later_release_is_set_aside_rather_than_loaded_without(tmp_path: Path) -> None:
    write_archived(tmp_path / "day.parquet")
    table = pq.read_table(tmp_path / "day.parquet").drop_columns(["rpm"])
    word = {derived.KEY: '{"odometer": "", "rpm": "…"}'}
    pq.write_table(table.replace_schema_metadata(word), tmp_path / "later.parquet")
    read = Read(tmp_path / "later.parquet")
    [(number, _, detail)] = read.rejects
    assert (number, read.table.num_rows) == (0, 0)
    assert "leaves out rpm" in detail
