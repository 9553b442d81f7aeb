from datetime import date

import pytest

from simulation.replay.ved_offset import OFFSET_FILE, days_to, kept_offset
from simulation.replay.ved_recording import find_recordings
from telematics.errors import ConfigurationError
from tests.simulation.replay.recordings import make_trip, write_folder

TODAY = date(2026, 3, 10)


@pytest.fixture
def recordings(tmp_path):
    write_folder(tmp_path, [make_trip(1.5, [{}])], vehicle=7)
    write_folder(tmp_path, [make_trip(9.99, [{}, {"time": 3_600_000}])], vehicle=8)  # ends on 2017-11-10
    return find_recordings(tmp_path)


def test_the_last_recorded_day_becomes_yesterday(recordings, tmp_path):
    offset = kept_offset(tmp_path / "state", recordings, TODAY)
    assert offset == days_to(date(2017, 11, 10), TODAY)
    assert days_to(date(2026, 3, 9), TODAY) == 0


def test_the_offset_is_chosen_once(recordings, tmp_path):
    first = kept_offset(tmp_path / "state", recordings, TODAY)
    assert kept_offset(tmp_path / "state", recordings[:1], date(2026, 5, 1)) == first


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"offset_days": "many"}', '{"offset_days": null}'])
def test_an_unreadable_offset_is_a_sentence(recordings, tmp_path, content):
    (tmp_path / OFFSET_FILE).write_text(content)
    with pytest.raises(ConfigurationError, match="remove it together with the ledgers"):
        kept_offset(tmp_path, recordings, TODAY)
