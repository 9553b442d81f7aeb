import pytest

from simulation.replay.ved_mapping import VedMapper, parse_trips
from simulation.replay.ved_recording import RecordingError, find_recordings
from tests.simulation.replay.recordings import make_trip, write_folder

TRIP, ODOMETER, RPM, LOAD, MAF, OAT, FUEL_TRIM, SOC = 250, 16, 36, 31, 40, 53, 33, 57
FIRST_MS = 1_509_494_400_000
DAY_MS = 86_400_000


@pytest.fixture
def read(tmp_path):
    def parse(*files):
        write_folder(tmp_path, files)
        with find_recordings(tmp_path)[0].open() as opened:
            return parse_trips(opened.trips, [opened.read(trip) for trip in opened.trips])

    return parse


@pytest.fixture
def mapped(read):
    """Columns of a recording with one trip of these rows."""

    def run(*rows):
        return VedMapper(0).map(read(make_trip(1.0, rows)))

    return run


def element(columns, avl_id):
    """Raw numbers of an IO element, None where a record has none."""
    (column,) = [column for column in columns.io if column.id == avl_id]
    return [int(raw) if there else None for raw, there in zip(column.raw, column.is_present, strict=True)]


def test_the_first_and_the_last_row_of_a_trip_are_marked(read):
    columns = VedMapper(0).map(
        read(
            make_trip(1.0, [{"time": 0}, {"time": 500}, {"time": 1000}], trip=1),
            make_trip(2.0, [{"time": 0}], trip=2),
            make_trip(3.0, [{"time": 0}, {"time": 700}], trip=3),
        )
    )
    assert element(columns, TRIP) == [1, None, 0, 1, 1, 0]
    assert columns.event_io_id.tolist() == [250, 0, 250, 250, 250, 250]


def test_times_are_the_trips_start_and_the_rows_own_moved_by_the_offset(read):
    columns = VedMapper(10 * DAY_MS).map(read(make_trip(2.5, [{"time": 0}, {"time": 1500}])))
    start = FIRST_MS + DAY_MS * 3 // 2 + 10 * DAY_MS
    assert columns.timestamp_ms.tolist() == [start, start + 1500]


def test_the_head_holds_what_was_recorded_and_the_documented_rest(mapped):
    columns = mapped({"lat": 42.1234567, "lng": -83.7654321, "speed": 35.6})
    assert (columns.latitude_raw[0], columns.longitude_raw[0]) == (421_234_567, -837_654_321)
    assert (columns.speed_kph[0], columns.altitude_m[0], columns.satellites[0]) == (36, 0, 4)
    assert columns.priority[0] == 0


def test_a_row_without_position_has_no_fix(mapped):
    columns = mapped({"lat": None, "lng": None}, {"time": 500})
    assert columns.satellites.tolist() == [0, 4]
    assert columns.latitude_raw.tolist()[0] == 0


def test_only_recorded_values_are_sent(mapped):
    columns = mapped(
        {"rpm": 1499.6, "load": 40.2, "maf": 12.34, "oat": -7, "stft": -3.1, "soc": 60.4}, {"time": 500}
    )
    assert element(columns, RPM) == [1500, None]
    assert element(columns, LOAD) == [40, None]
    assert element(columns, MAF) == [1234, None]
    assert element(columns, OAT) == [256 - 7, None]
    assert element(columns, FUEL_TRIM) == [256 - 3, None]
    assert element(columns, SOC) == [60, None]
    assert {column.id for column in columns.io} == {TRIP, ODOMETER, RPM, LOAD, MAF, OAT, FUEL_TRIM, SOC}


def test_the_odometer_is_the_integral_of_speed_by_trapezoids(mapped):
    # 36 km/h for 10 s, then evenly up to 72 km/h in 10 s: 100 m and 150 m
    columns = mapped({"time": 0}, {"time": 10_000}, {"time": 20_000, "speed": 72})
    assert element(columns, ODOMETER) == [0, 100, 250]


def test_a_step_of_more_than_a_minute_counts_no_distance(mapped):
    columns = mapped({"time": 0}, {"time": 60_000}, {"time": 120_001}, {"time": 130_001})
    assert element(columns, ODOMETER) == [0, 600, 600, 700]


def test_the_odometer_goes_on_over_trips_and_stands_still_between_them(read):
    rows = [{"time": 0}, {"time": 10_000}]
    files = [make_trip(1.0, rows, trip=1), make_trip(1.0002, rows, trip=2), make_trip(3.0, rows, trip=3)]
    together = VedMapper(0).map(read(*files))
    assert element(together, ODOMETER) == [0, 100, 100, 200, 200, 300]


def test_the_odometer_is_the_same_however_trips_are_batched(tmp_path):
    rows = [{"time": 0, "speed": 31}, {"time": 777, "speed": 35}]
    write_folder(tmp_path, [make_trip(1.0 + number, rows, trip=number) for number in range(6)])
    with find_recordings(tmp_path)[0].open() as opened:
        found = []
        for size in (1, 5, 100):
            mapper = VedMapper(0)
            parts = [
                mapper.map(parse_trips(trips, [opened.read(trip) for trip in trips]))
                for trips in opened.batches(size)
            ]
            found.append([raw for part in parts for raw in element(part, ODOMETER)])
    assert found[0] == found[1] == found[2]


def test_a_missing_speed_is_the_last_known_one_of_the_same_trip(read):
    columns = VedMapper(0).map(
        read(
            make_trip(1.0, [{"speed": None}, {"time": 1, "speed": 20}, {"time": 2, "speed": None}], trip=1),
            make_trip(2.0, [{"speed": None}, {"time": 1, "speed": None}], trip=2),
            make_trip(3.0, [{"speed": 50}, {"time": 1, "speed": None}], trip=3),
        )
    )
    assert columns.speed_kph.tolist() == [20, 20, 20, 0, 0, 50, 50]


def test_what_does_not_fit_is_left_out_and_counted_not_clamped(read):
    mapper = VedMapper(0)
    rows = [{"load": 255, "oat": 127, "maf": 655.35}, {"time": 1, "load": 256, "oat": -129, "maf": 1e300}]
    columns = mapper.map(read(make_trip(1.0, rows)))
    assert (element(columns, LOAD), element(columns, OAT)) == ([255, None], [127, None])
    assert element(columns, MAF) == [65_535, None]
    assert mapper.left_out == {"Absolute Load[%]": 1, "OAT[DegC]": 1, "MAF[g/sec]": 1}


def test_the_heading_is_the_bearing_between_fixes_within_a_trip(read):
    north = [{"lat": 42.0}, {"time": 1, "lat": 42.0}, {"time": 2, "lat": 42.1}, {"time": 3, "lat": 42.1}]
    west = [{"lng": -83.0}, {"time": 1, "lng": -83.1}, {"time": 2, "lng": -83.0}]
    still = [{}, {"time": 1}]
    columns = VedMapper(0).map(
        read(make_trip(1.0, north, trip=1), make_trip(2.0, west, trip=2), make_trip(3.0, still, trip=3))
    )
    angles = columns.angle_deg.tolist()
    assert angles == [0, 0, 0, 0, 270, 270, 90, 0, 0]


def test_a_trip_that_starts_where_the_last_one_ended_has_a_heading_of_its_own(read):
    north = [{"lat": 42.0}, {"time": 1, "lat": 42.1}]
    east = [{"lat": 42.1}, {"time": 1, "lat": 42.1, "lng": -83.70}]
    columns = VedMapper(0).map(read(make_trip(1.0, north, trip=1), make_trip(2.0, east, trip=2)))
    assert columns.angle_deg.tolist() == [0, 0, 90, 90]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{}, {"time": None}, {"time": 2}], "without Timestamp"),
        ([{"speed": -1}], "a speed outside"),
        ([{"speed": "inf"}], "a speed outside"),
        ([{"rpm": "fast"}], "not a VED trip file"),
    ],
)
def test_a_damaged_row_ends_with_a_sentence(mapped, rows, says):
    with pytest.raises(RecordingError, match=says):
        mapped(*rows)


def test_files_of_another_form_are_refused(read):
    name, content = make_trip(2.0, [{}], trip=2)
    with pytest.raises(RecordingError, match="its header differs"):
        read(make_trip(1.0, [{}]), (name, content.replace(b"Engine RPM", b"Engine Speed")))
