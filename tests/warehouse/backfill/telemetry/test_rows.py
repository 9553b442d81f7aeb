"""Files into rows: what is set aside, with which number and reason, and that neighbours load. No server."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from xxhash import xxh64_intdigest

from telematics.names import Origin
from tests.warehouse.backfill.telemetry.judging import (
    GOOD,
    HEADER,
    IMEI,
    OTHER,
    VIN,
    Read,
    make_vehicles,
    read_csv,
    row,
)
from warehouse.backfill.telemetry.lines import BLOCK_BYTES
from warehouse.backfill.telemetry.mapping import parse_mapping


@pytest.mark.parametrize(
    ("change", "reason", "column"),
    [
        ({"time": "yesterday"}, "no time, or none that can be read", "time"),
        ({"time": ""}, "no time, or none that can be read", "time"),
        ({"time": "2026-02-01T10:00:00"}, "no time, or none that can be read", "time"),
        ({"time": "1769940000"}, "no time, or none that can be read", "time"),
        ({"time": "2026-02-30T10:00:00Z"}, "no time, or none that can be read", "time"),
        ({"time": "1970-01-01T00:00:00Z"}, "before PISTON_DEVICE_TIME_EARLIEST", "time"),
        ({"time": "2026-03-02T00:00:01Z"}, "further ahead than PISTON_DEVICE_TIME_AHEAD_H", "time"),
        ({"time": "9999-12-31T00:00:00Z"}, "further ahead than PISTON_DEVICE_TIME_AHEAD_H", "time"),
        ({"vin": ""}, "neither a VIN nor a device", ""),
        ({"vin": "1HGCM82633A00435I"}, "malformed VIN", ""),
        ({"vin": VIN[:-1] + "\0"}, "malformed VIN", ""),
        ({"vin": OTHER}, "unknown vehicle", ""),
        ({"speed_mph": "fast"}, "a value is no number", "speed_mph"),
        ({"speed_mph": "0x1F"}, "a value is no number", "speed_mph"),
        ({"speed_mph": "inf"}, "a value is no number", "speed_mph"),
        ({"speed_mph": "1001"}, "a value is out of range", "speed_mph"),
        ({"lat": "90.1"}, "a value is out of range", "lat"),
        ({"rpm": "1e300"}, "a value is out of range", "rpm"),
        ({"lng": ""}, "a latitude without a longitude, or the reverse", ""),
        ({"dtc_codes": "P0300;broken"}, "a value is no list of trouble codes", "dtc_codes"),
        ({"ignition": "maybe"}, "a value is neither true nor false", "ignition"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_number_and_reason(
    tmp_path: Path, change: dict[str, str], reason: str, column: str
):
    read = read_csv(tmp_path, row(), row(**change), row(speed_mph="31"))
    assert [(number, why) for number, why, _ in read.rejects] == [(2, reason)]
    assert read.rejects[0][2] == column
    assert read.values("speed_mph") == [30, 31]
    assert read.reading.row_count == 3


def test_what_is_kept_of_a_row_is_text_that_postgresql_takes(tmp_path: Path):
    read = read_csv(tmp_path, row(vin="\0" * 17), b"\xff\xfe\x00" * 3000)
    rows = [each.row for each in read.reading.rejects.kept()]
    assert len(rows) == 2
    assert all("\0" not in text and len(text) <= 2000 for text in rows)


def test_ragged_lines_are_theirs_alone_and_blank_ones_nothing(tmp_path: Path):
    read = read_csv(tmp_path, row(), "1,2", "", row() + ",more", row(), "   ")
    assert [(number, why) for number, why, _ in read.rejects] == [
        (2, "another number of fields than the header"),
        (4, "another number of fields than the header"),
    ]
    assert (len(read.table), read.reading.row_count) == (2, 4)


def test_a_quote_that_never_ends_swallows_no_neighbour(tmp_path: Path):
    read = read_csv(tmp_path, row(), '"' + row(), row(), row(speed_mph='"3'), row(speed_mph='"3"'))
    assert read.values("speed_mph") == [30, 30, 3]
    assert [number for number, _, _ in read.rejects] == [2, 4]


def test_encodings_are_a_row_s_own_matter(tmp_path: Path):
    header = (HEADER + ",temp[°C]").encode("latin-1").decode("latin-1")
    path = tmp_path / "h.csv"
    lines = [
        f"{header}".encode("latin-1"),
        row().encode() + b",1",
        row(vin="X").encode("latin-1") + b"\xe9,1",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines) + b"\r\n")
    read = Read(path)
    assert len(read.table) == 1
    assert len(read.rejects) == 1
    assert read.columns.ignored == {"temp[°C]"}
    utf16 = tmp_path / "u.csv"
    utf16.write_text(HEADER + "\n" + row() + "\n", encoding="utf-16")
    assert [why for _, why, _ in Read(utf16).rejects] == ["the file cannot be read on from here"]


def test_a_line_longer_than_a_block_is_skipped(tmp_path: Path):
    read = read_csv(tmp_path, row(), "x" * (BLOCK_BYTES * 2 + 5), row(speed_mph="31"), row(speed_mph="nan"))
    assert read.values("speed_mph") == [30, 31, None]
    assert read.rejects == [(2, "a line longer than 8 MiB", "")]


def test_row_numbers_go_on_from_block_to_block(tmp_path: Path):
    count = BLOCK_BYTES // len(row()) + 1000
    lines = [row()] * count
    lines[count - 3] = row(speed_mph="fast")
    read = read_csv(tmp_path, *lines)
    assert [number for number, _, _ in read.rejects] == [count - 2]
    assert len(read.table) == count - 1


@pytest.mark.parametrize("name", ["h.csv", "h.parquet", "h.ndjson", "h.csv.gz"])
def test_an_empty_file_is_named(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    [(number, _, _)] = Read(tmp_path / name).rejects
    assert number == 0


def test_a_header_alone_is_no_fault_and_a_foreign_one_says_what_it_lacks(tmp_path: Path):
    assert read_csv(tmp_path).rejects == []
    [(number, reason, detail)] = read_csv(tmp_path, "1,2", header="when,car").rejects
    assert (number, reason) == (0, "the file lacks a column that it needs")
    assert detail == "time, vin; name the file's own columns with --mapping"


def test_a_truncated_gzip_gives_what_came_before_the_break(tmp_path: Path):
    lines = [HEADER, *[row(speed_mph=str(n % 100)) for n in range(200_000)]]
    whole = gzip.compress("\n".join(lines).encode(), compresslevel=1)
    path = tmp_path / "h.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    read = Read(path)
    assert 50_000 < len(read.table) < 150_000
    reasons = {why for _, why, _ in read.rejects}
    assert "the file cannot be read on from here" in reasons
    path.write_bytes(b"no gzip at all")
    assert [number for number, _, _ in Read(path).rejects] == [0]


def _parquet(path: Path, count: int = 40) -> pa.Table:
    moments = np.arange(count) * 1_000_000 + 1_769_940_000_000_000
    table = pa.table(
        {
            "time": pa.array(moments, pa.timestamp("us", "UTC")),
            "vin": [VIN] * count,
            "speed_mph": pa.array(np.arange(count), pa.float32()),
        }
    )
    pq.write_table(table, path, row_group_size=10, compression="none", use_dictionary=False,
                   write_page_checksum=True)  # fmt: skip
    return table


def test_a_truncated_parquet_is_named_and_a_damaged_row_group_costs_its_own_rows(tmp_path: Path):
    path = tmp_path / "h.parquet"
    _parquet(path)
    content = path.read_bytes()
    place = pq.ParquetFile(path).metadata.row_group(1).column(2).data_page_offset + 60
    path.write_bytes(content[:place] + b"\xff" * 8 + content[place + 8 :])
    read = Read(path)
    assert read.values("speed_mph") == [*range(10), *range(20, 40)]
    [(number, reason, detail)] = read.rejects
    assert (number, reason) == (11, "the file cannot be read on from here")
    assert detail.startswith("10 rows of row group 2")
    assert read.reading.rejects.total == 10
    path.write_bytes(content[:-20])
    [(number, _, detail)] = Read(path).rejects
    assert number == 0
    assert detail.startswith("no sound Parquet footer")


def test_parquet_of_other_types_is_judged_row_by_row(tmp_path: Path):
    path = tmp_path / "h.parquet"
    table = pa.table(
        {
            "time": [GOOD, "soon", GOOD, GOOD],
            "vin": pa.array([VIN] * 4).dictionary_encode(),
            "speed_mph": ["30", "31", "fast", None],
            "heading": pa.array([90.4, 1, 2, 359.6], pa.float32()),
            "ignition": pa.array([1, 0, 1, 0], pa.int8()),
            "dtc_codes": [["P0300"], [], None, None],
        }
    )
    pq.write_table(table, path)
    read = Read(path)
    assert [(number, column) for number, _, column in read.rejects] == [(2, "time"), (3, "speed_mph")]
    assert read.values("heading") == [90, 360]
    assert read.values("ignition") == [True, False]
    assert (read.values("dtc_codes"), read.values("dtc_known")) == ([["P0300"], []], [True, False])


def test_ndjson_of_mixed_lines_is_read_line_by_line(tmp_path: Path):
    good = {"time": GOOD, "vin": VIN, "speed_mph": 30, "dtc_codes": ["P0300", "P0420"]}
    lines = [
        json.dumps(good), "{broken", "[1]", json.dumps(good | {"speed_mph": "31"}), "",
        json.dumps(good | {"speed_mph": True}), json.dumps(good | {"speed_mph": 32.5, "more": {"a": 1}}),
    ]  # fmt: skip
    path = tmp_path / "h.ndjson"
    path.write_text("\n".join(lines))
    read = Read(path)
    assert read.values("speed_mph") == [30, 31, 32.5]
    assert read.values("dtc_codes") == [["P0300", "P0420"]] * 3
    assert [(number, reason) for number, reason, _ in read.rejects] == [
        (2, "not one JSON object"), (3, "not one JSON object"), (6, "a value is no number"),
    ]  # fmt: skip


def test_32_bit_numbers_are_the_decimal_ones_that_they_stand_for(tmp_path: Path):
    mapping = parse_mapping(
        {
            "time": {"column": "time"}, "vehicle": {"vin": "vin"},
            "columns": {
                "lat": "lat", "lng": "lng",
                "speed_mph": {"column": "kmh", "unit": "KM/H"}, "odometer": {"column": "km", "unit": "km"},
            },
        }
    )  # fmt: skip
    path = tmp_path / "h.parquet"
    columns = {"lat": [42.277], "lng": [-83.7381], "kmh": [45.36], "km": [1234.5]}
    single = {name: pa.array(values, pa.float32()) for name, values in columns.items()}
    pq.write_table(pa.table({"time": [GOOD], "vin": [VIN], **single}), path)
    text = read_csv(
        tmp_path,
        f"{GOOD},{VIN},42.277,-83.7381,45.36,1234.5",
        header="time,vin,lat,lng,kmh,km",
        mapping=mapping,
    )
    found = Read(path, mapping)
    assert found.table.equals(text.table)
    assert found.values("odometer_source") == ["partner"]


def test_values_out_of_range_are_left_out_where_the_mapping_says_so(tmp_path: Path):
    mapping = parse_mapping(
        {
            "time": {"column": "time"}, "vehicle": {"vin": "vin"}, "out_of_range": "leave_out",
            "columns": {"engine_load_pct": "Absolute Load[%]", "speed_mph": "speed"},
        }
    )  # fmt: skip
    lines = [f"{GOOD},{VIN},{load},30" for load in ("124.3", "99.6", "")]
    read = read_csv(tmp_path, *lines, header="time,vin,Absolute Load[%],speed", mapping=mapping)
    assert (read.values("engine_load_pct"), read.rejects) == ([None, 100, None], [])
    assert read.columns.left_out == {"Absolute Load[%]": 1}


def test_devices_are_known_or_named_and_partners_need_a_grant(tmp_path: Path):
    postings = frozenset({("partner:pc_1", VIN)})
    lines = [
        f"{GOOD},{IMEI},", f"{GOOD},353000000000002,", f"{GOOD},tracker,", f"{GOOD},partner:pc_1,{VIN}",
        f"{GOOD},partner:pc_2,{VIN}", f"{GOOD},backfill:old,{VIN}", f"{GOOD},backfill:old,", f"{GOOD},,{VIN}",
    ]  # fmt: skip
    read = read_csv(tmp_path, *lines, header="time,device_id,vin", vehicles=make_vehicles(postings=postings))
    assert read.values("device_id") == [IMEI, "partner:pc_1", "backfill:old", "backfill:history"]
    assert read.values("vin") == ["", VIN, VIN, VIN]
    assert [(number, why) for number, why, _ in read.rejects] == [
        (2, "unknown device"), (3, "malformed device_id"), (5, "unknown vehicle"),
        (7, "neither a VIN nor a device"),
    ]  # fmt: skip


def test_a_vehicle_that_is_registered_has_a_vin_of_its_origin(tmp_path: Path):
    lines = [row(vin=OTHER), row(vin="0VE00000000000001")]
    live = read_csv(tmp_path, *lines, vehicles=make_vehicles(register_as=Origin.LIVE))
    assert (live.values("vin"), live.rejects[0][:2]) == ([OTHER], (2, "VIN outside the range of its origin"))
    recorded = read_csv(tmp_path, *lines, vehicles=make_vehicles(register_as=Origin.RECORDED))
    assert recorded.values("vin") == ["0VE00000000000001"]


def test_the_hash_is_of_the_content_and_of_nothing_else(tmp_path: Path):
    read = read_csv(
        tmp_path, row(), row(), row(speed_mph="30.0"), row(rpm="0"), row(time="2026-02-01T11:00:00Z")
    )
    first, second, same, other, later = read.values("content_hash")
    assert first == second == same == later
    assert other != first
    # by the words of the form alone: a change of it would double every history that is loaded again
    content = {
        "is_valid": 1,
        "lat": 42.5,
        "lng": -83.5,
        "speed_mph": 30.0,
        "vin": xxh64_intdigest(VIN.encode()),
    }
    form = b"".join(
        xxh64_intdigest(name.encode()).to_bytes(8, "little")
        + (struct.pack("<d", value) if isinstance(value, float) else value.to_bytes(8, "little"))
        for name, value in sorted(content.items())
    )
    assert first % 2**64 == xxh64_intdigest(form)


def test_rows_that_bring_their_hash_are_not_judged_again(tmp_path: Path):
    header = (
        "time,device_id,altitude_ft,received_at,content_hash,stream_position,dtc_codes,dtc_known,odometer"
    )
    line = f"{GOOD},{IMEI},90000,2026-02-01T10:00:05.250Z,-5,77,,true,12.5"
    read = read_csv(tmp_path, line, line.replace("true", "false"), header=header)
    assert read.rejects == []
    assert (read.values("content_hash"), read.values("stream_position")) == ([-5, -5], [77, 77])
    assert str(read.values("received_at")[0]) == "2026-02-01 10:00:05.250000+00:00"
    assert read.values("odometer_source") == [None, None]


def test_examples_are_bounded_and_counts_are_not(tmp_path: Path):
    read = read_csv(tmp_path, *[row(speed_mph="fast")] * 500)
    assert len(read.rejects) == 100
    assert read.reading.rejects.total == 500
