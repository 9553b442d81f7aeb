import pytest

from simulation.replay.ved_recording import RecordingError, find_recordings, select_recordings
from telematics.errors import NotFoundError
from tests.simulation.replay.recordings import make_trip, write_archive, write_folder

LATER = make_trip(3.5, [{"time": 0}, {"time": 900}], trip=1)
EARLIER = make_trip(1.25, [{"time": 0}], trip=2)
FIRST_MS = 1_509_494_400_000  # 2017-11-01T00:00Z


@pytest.mark.parametrize("write", [write_folder, write_archive])
def test_trips_come_in_the_order_of_their_time_whatever_their_names(tmp_path, write):
    write(tmp_path, [LATER, EARLIER])
    (recording,) = find_recordings(tmp_path)
    with recording.open(tmp_path) as opened:
        assert [trip.name for trip in opened.trips] == [EARLIER[0], LATER[0]]
        assert [trip.row_count for trip in opened.trips] == [1, 2]
        assert opened.trips[0].start_ms == FIRST_MS + 6 * 3_600_000
        assert opened.trips[1].end_ms == FIRST_MS + 60 * 3_600_000 + 900
        assert [opened.read(trip) for trip in opened.trips] == [EARLIER[1], LATER[1]]
        assert [len(batch) for batch in opened.batches(2)] == [2]
        assert [len(batch) for batch in opened.batches(1)] == [1, 1]


def test_an_archive_counts_before_a_folder_of_the_same_vehicle(tmp_path):
    write_folder(tmp_path, [LATER])
    write_archive(tmp_path, [EARLIER])
    write_folder(tmp_path, [LATER], vehicle=12)
    found = find_recordings(tmp_path)
    assert [recording.vehicle_id for recording in found] == [7, 12]
    assert found[0].path.is_file()


def test_the_digest_follows_the_content(tmp_path):
    place = write_folder(tmp_path, [LATER, EARLIER])
    (recording,) = find_recordings(tmp_path)
    before = recording.digest()
    assert recording.digest() == before
    (place / LATER[0]).write_bytes(LATER[1].replace(b",36,", b",37,"))
    assert recording.digest() != before


def test_vehicles_are_chosen_by_number(tmp_path):
    for vehicle in (7, 12):
        write_folder(tmp_path, [LATER], vehicle=vehicle)
    found = find_recordings(tmp_path)
    assert select_recordings(found, []) == found
    assert [recording.vehicle_id for recording in select_recordings(found, [12, 12])] == [12]
    with pytest.raises(NotFoundError, match="no recording of vehicle 99; there are 7, 12"):
        select_recordings(found, [7, 99])


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_no_recordings_is_a_sentence(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="piston simulate fleet"):
        find_recordings(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no rows"),
        (LATER[1].splitlines()[0] + b"\n", "no rows"),
        (LATER[1][:-5], "last line is cut"),
        (b"a,b,c\nx,y,z\n", "rows must begin with"),
        (LATER[1].replace(b"\n3.5,", b"\ninf,"), "rows must begin with"),
    ],
)
def test_a_file_that_is_no_trip_is_named(tmp_path, content, says):
    write_folder(tmp_path, [EARLIER, ("Trip_9_VED.csv", content)])
    with pytest.raises(RecordingError, match=says) as caught:
        find_recordings(tmp_path)[0].open()
    assert "Trip_9_VED.csv" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_broken_archive_is_named(tmp_path):
    path = write_archive(tmp_path, [LATER])
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    with pytest.raises(RecordingError, match="not a readable"):
        find_recordings(tmp_path)[0].open()


def test_an_archive_without_trips_is_named(tmp_path):
    write_archive(tmp_path, [("notes.txt", b"nothing")])
    with pytest.raises(RecordingError, match="no CSV file"):
        find_recordings(tmp_path)[0].open()
