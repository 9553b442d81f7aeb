"""Times of foreign histories: zones, patterns, counts, and the hours in which clocks change. No server."""

from pathlib import Path

from tests.warehouse.backfill.telemetry.judging import VIN, read_csv
from warehouse.backfill.telemetry.mapping import parse_mapping


def test_local_times_have_a_zone_and_the_hours_that_clocks_change(tmp_path: Path):
    mapping = parse_mapping(
        {"time": {"column": "t", "format": "local", "zone": "Europe/Berlin"}, "vehicle": {"vin": "v"}}
    )
    times = ["2025-07-01 12:00:00", "2025-01-01T12:00:00.250", "2025-03-30 02:30:00", "2025-10-26 02:30:00"]
    read = read_csv(tmp_path, *[f"{t},{VIN}" for t in times], header="t,v", mapping=mapping)
    assert [str(t) for t in read.values("time")] == [
        "2025-07-01 10:00:00+00:00", "2025-01-01 11:00:00.250000+00:00", "2025-10-26 00:30:00+00:00",
    ]  # fmt: skip
    assert read.rejects == [(3, "a local time that clocks leave out", "t")]


def test_a_pattern_reads_other_local_times(tmp_path: Path):
    time = {"column": "t", "format": "local", "zone": "UTC", "pattern": "%d.%m.%Y %H:%M:%S"}
    mapping = parse_mapping({"time": time, "vehicle": {"vin": "v"}, "delimiter": ";"})
    read = read_csv(
        tmp_path, f"31.12.2025 23:59:59;{VIN}", f"2025-12-31;{VIN}", header="t;v", mapping=mapping
    )
    assert [str(t) for t in read.values("time")] == ["2025-12-31 23:59:59+00:00"]
    assert [number for number, _, _ in read.rejects] == [2]


def test_a_time_may_be_two_columns_and_a_vehicle_a_number(tmp_path: Path):
    """VED's own columns: days since 2017-11-01, and milliseconds since the trip's start."""
    mapping = parse_mapping(
        {
            "time": {
                "column": "DayNum", "format": "since", "since": "2017-11-01T00:00:00Z", "unit": "d",
                "plus": {"column": "Timestamp(ms)", "unit": "ms"},
            },
            "vehicle": {"vin": "VehId", "vins": {"455": VIN}},
            "unknown_columns": "keep",
        }
    )  # fmt: skip
    read = read_csv(
        tmp_path, "1.5,455,1200,7", "1.5,455.0,,8", "1.5,456,0,9",
        header="DayNum,VehId,Timestamp(ms),Trip", mapping=mapping,
    )  # fmt: skip
    assert [str(t) for t in read.values("time")] == ["2017-11-02 12:00:01.200000+00:00"]
    assert read.values("raw_data") == ['{"Trip":"7"}']
    assert [why for _, why, _ in read.rejects] == ["no time, or none that can be read", "unknown vehicle"]
