"""One recorded vehicle as a source, on small recordings and on a real one."""

import os
from pathlib import Path

import numpy as np
import pytest

from ingest.registry.ranges import check_ranges
from simulation.device.encoding import encode_columns
from simulation.replay.ved_fleet import ved_vehicle
from simulation.replay.ved_mapping import VedMapper, parse_trips
from simulation.replay.ved_oracles import VED_ORACLES
from simulation.replay.ved_recording import find_recordings, select_recordings
from simulation.replay.ved_source import VedSource
from telematics.errors import ConfigurationError
from telematics.imei import luhn_digit
from telematics.names import Origin
from telematics.vin import has_valid_check_digit
from tests.simulation.replay.recordings import make_trip, write_folder


@pytest.fixture
def small(tmp_path):
    rows = [{"time": 1000 * number, "speed": 10 + number % 60} for number in range(3000)]
    write_folder(tmp_path, [make_trip(1.0 + trip, rows, trip=trip) for trip in range(3)])
    (recording,) = find_recordings(tmp_path)
    return recording


@pytest.mark.parametrize("skip", [0, 1, 2999, 3000, 6000, 6001, 8999, 9000])
def test_the_records_behind_those_skipped_are_the_same_as_ever(small, skip):
    source = VedSource(small, 5)
    everything = np.concatenate([block.identities for block in source.blocks(0)])
    assert source.count() == len(everything) == 9000
    rest = [block.identities for block in source.blocks(skip)]
    assert np.array_equal(np.concatenate([everything[:0], *rest]), everything[skip:])


def test_blocks_are_whole_trips(small):
    assert [len(block) for block in VedSource(small, 0).blocks(0)] == [6000, 3000]


def test_the_pin_tells_recording_offset_and_encoder(small):
    pin = VedSource(small, 5).pin
    assert pin == {"imei": ved_vehicle(7).imei, "recording": small.digest(), "offset_days": 5, "encoder": 1}


@pytest.mark.parametrize("vehicle_id", [0, 455, 999_999])
def test_recorded_vehicles_have_names_of_their_own_range(vehicle_id):
    device = ved_vehicle(vehicle_id).as_new_device()
    check_ranges(device.imei, device.vin, Origin.RECORDED)
    assert device.imei[-1] == luhn_digit(device.imei[:-1])
    assert has_valid_check_digit(device.vin)
    assert int(device.vin[-6:]) == int(device.imei[8:14]) == vehicle_id


@pytest.mark.parametrize("vehicle_id", [-1, 1_000_000])
def test_numbers_without_a_place_in_the_imei_are_refused(vehicle_id):
    with pytest.raises(ConfigurationError):
        ved_vehicle(vehicle_id)


@pytest.fixture
def real(repository):
    """The recording with the fewest rows of the real ones."""
    folder = Path(os.environ.get("PISTON_VED_DIR") or repository.parent / "shared/data/ved")
    if not folder.is_dir():
        pytest.skip(f"no VED recordings at {folder}; PISTON_VED_DIR names another folder")
    return select_recordings(find_recordings(folder), [597])[0]


def test_a_real_recording_has_the_rows_trips_and_kilometres_that_were_measured(real, tmp_path):
    (oracle,) = [oracle for oracle in VED_ORACLES if oracle.vehicle_id == real.vehicle_id]
    marks = rows = records = 0
    mapper = VedMapper(0)
    odometer_m = 0
    with real.open(tmp_path) as opened:
        trips = len(opened.trips)
        for batch in opened.batches(4096):
            columns = mapper.map(parse_trips(batch, [opened.read(trip) for trip in batch]))
            by_id = {column.id: column for column in columns.io}
            marks += int((by_id[250].raw[by_id[250].is_present] == 1).sum())
            odometer_m = int(by_id[16].raw[-1])
            rows += len(columns)
            records += len(encode_columns(columns))
    assert trips == marks == oracle.trips
    assert rows == records == oracle.rows
    assert odometer_m / 1000 == pytest.approx(oracle.speed_km, rel=0.001)
