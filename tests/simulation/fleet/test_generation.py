"""Routes, motion and days as they come out of random numbers: plausible, whole, the same each time."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from ingest.registry.ranges import check_ranges
from simulation.fleet.cars import MAX_CARS, MAX_SEED, make_car
from simulation.fleet.day import plan_day
from simulation.fleet.motion import Motion
from simulation.fleet.route import Loop
from simulation.fleet.telemetry import record_count, telemetry_of_day
from telematics.errors import ConfigurationError
from telematics.imei import luhn_digit
from telematics.names import Origin
from telematics.vin import has_valid_check_digit

EARTH_M = 6_371_008.8
DAYS = [date(2026, 1, 1 + number) for number in range(6)]


def great_circles_m(latitude_deg, longitude_deg):
    lat, lng = np.radians(latitude_deg), np.radians(longitude_deg)
    half = np.sin(np.diff(lat) / 2) ** 2 + np.cos(lat[1:]) * np.cos(lat[:-1]) * np.sin(np.diff(lng) / 2) ** 2
    return 2 * EARTH_M * np.arcsin(np.sqrt(half))


def element(columns, avl_id):
    (column,) = [column for column in columns.io if column.id == avl_id]
    assert column.is_present.all()
    return column.raw


@pytest.fixture(params=[1, 2, 3])
def car(request):
    return make_car(4, request.param)


@pytest.fixture(params=DAYS)
def day(request, car):
    plan = plan_day(car, request.param)
    return plan, telemetry_of_day(car, plan, 12_345.0)


def test_a_loop_is_closed_and_as_long_as_its_great_circles():
    loop = Loop.around(53.0, -2.0, radius_m=3000.0, random=np.random.default_rng(5))
    way = np.linspace(0, loop.length_m, 2000)
    latitude, longitude = loop.positions_deg(way)
    assert (latitude[0], longitude[0]) == (latitude[-1], longitude[-1])
    assert great_circles_m(latitude, longitude).sum() == pytest.approx(loop.length_m, rel=1e-3)
    again = loop.positions_deg(way + 3 * loop.length_m)
    assert np.allclose(again, (latitude, longitude), atol=1e-9)


def test_headings_point_along_the_loop():
    loop = Loop.around(53.0, -2.0, radius_m=3000.0, random=np.random.default_rng(5))
    way = np.linspace(0, loop.length_m, 500)
    ahead = np.array(loop.positions_deg(way + 5.0)) - np.array(loop.positions_deg(way))
    moved = np.degrees(np.arctan2(ahead[1] * np.cos(np.radians(53.0)), ahead[0])) % 360
    apart = np.abs((moved - loop.headings_deg(way) + 180) % 360 - 180)
    assert apart.max() < 2.0


def test_motion_starts_and_ends_still_and_distance_is_the_integral_of_speed():
    motion = Motion.draw(np.random.default_rng(6), 1200.0, 1.0)
    seconds = np.linspace(0, motion.duration_s, 200_001)
    speed, way = motion.speeds_mps(seconds), motion.distances_m(seconds)
    assert (speed[0], speed[-1], way[0]) == (0, 0, 0)
    assert 1200 <= motion.duration_s < 1200 + 400
    steps = (speed[1:] + speed[:-1]) / 2 * np.diff(seconds)
    assert way[-1] == pytest.approx(motion.distance_m)
    assert np.cumsum(steps)[-1] == pytest.approx(motion.distance_m, rel=1e-6)
    assert (np.diff(way) >= -1e-9).all()
    change = np.diff(speed) / np.diff(seconds)
    assert change.max() < 2.0
    assert change.min() > -2.5
    assert ((speed == 0)[1:] & (speed > 0)[:-1]).sum() > 2  # it stops on the way


def test_nothing_moves_before_or_after_a_trip():
    motion = Motion.draw(np.random.default_rng(6), 600.0, 1.0)
    seconds = np.array([-100.0, -0.001, motion.duration_s + 0.001, motion.duration_s + 5000])
    assert motion.speeds_mps(seconds).tolist() == [0, 0, 0, 0]
    assert motion.distances_m(seconds).tolist() == [0, 0, motion.distance_m, motion.distance_m]


@pytest.mark.parametrize("seed", range(20))
def test_a_day_has_two_to_four_trips_that_do_not_touch_and_end_before_midnight(seed):
    for ordinal in range(20):
        trips = plan_day(make_car(seed, 1), date.fromordinal(739_000 + ordinal)).trips
        assert 2 <= len(trips) <= 4
        assert trips[-1].end_ms < 86_400_000
        for one, other in pairwise(trips):
            assert one.end_ms + 300_000 < other.start_ms


def test_records_ascend_within_their_day_and_are_as_many_as_counted(car, day):
    plan, columns = day
    times = columns.timestamp_ms
    assert (np.diff(times) > 0).all()
    assert {date.fromordinal(719_163 + int(time) // 86_400_000) for time in times} == {plan.day}
    assert record_count(car, plan) == len(columns)


def test_driving_is_recorded_every_few_seconds_and_parking_once_an_hour(day):
    plan, columns = day
    midnight = columns.timestamp_ms[0] // 86_400_000 * 86_400_000
    since = columns.timestamp_ms - midnight
    parked = np.ones(len(since), bool)
    for trip in plan.trips:
        on_trip = (since >= trip.start_ms) & (since <= trip.end_ms)
        parked &= ~on_trip
        assert np.diff(since[on_trip]).max() <= 5000
    assert 15 <= parked.sum() <= 24


def test_ignition_events_frame_each_trip(day):
    plan, columns = day
    midnight = columns.timestamp_ms[0] // 86_400_000 * 86_400_000
    events = columns.event_io_id == 239
    expected = [edge for trip in plan.trips for edge in (trip.start_ms, trip.end_ms)]
    assert (columns.timestamp_ms[events] - midnight).tolist() == expected
    ignition = element(columns, 239)
    assert ignition[events].tolist() == [1, 0] * len(plan.trips)
    assert np.abs(np.diff(ignition)).sum() == 2 * len(plan.trips)
    assert set(columns.event_io_id.tolist()) == {0, 239}
    assert columns.priority.tolist() == events.astype(int).tolist()
    assert (columns.speed_kph[ignition == 0] == 0).all()


def test_odometer_speed_and_positions_tell_the_same_distance(day):
    plan, columns = day
    odometer = element(columns, 16)
    driven_m = int(odometer[-1] - odometer[0])
    assert (np.diff(odometer) >= 0).all()
    assert driven_m == pytest.approx(plan.distance_m, abs=2)
    seconds = np.diff(columns.timestamp_ms) / 1000
    mean_mps = (columns.speed_kph[1:] + columns.speed_kph[:-1]) / 2 / 3.6
    by_speed_m = (mean_mps * np.where(seconds <= 60, seconds, 0)).sum()
    by_place_m = great_circles_m(columns.latitude_raw / 1e7, columns.longitude_raw / 1e7).sum()
    assert by_speed_m == pytest.approx(driven_m, rel=0.02)
    assert by_place_m == pytest.approx(driven_m, rel=0.005)


def test_the_rest_lies_in_its_range(day):
    _, columns = day
    assert (columns.satellites >= 7).all()
    assert (columns.satellites <= 14).all()
    assert np.abs(np.diff(columns.satellites)).max() <= 1
    assert (columns.altitude_m > 0).all()
    assert (columns.angle_deg < 360).all()
    assert columns.speed_kph.max() < 100
    millivolts, ignition = element(columns, 66), element(columns, 239)
    assert (millivolts[ignition == 1] > 13_500).all()
    assert (millivolts[ignition == 0] < 13_000).all()
    assert element(columns, 240).tolist() == (columns.speed_kph > 0).astype(int).tolist()
    assert {(column.id, column.width) for column in columns.io} == {(239, 1), (240, 1), (66, 2), (16, 4)}


@pytest.mark.parametrize(("seed", "number"), [(0, 1), (1, 12), (MAX_SEED, MAX_CARS)])
def test_generated_cars_have_names_of_their_own_range(seed, number):
    device = make_car(seed, number).as_new_device()
    check_ranges(device.imei, device.vin, Origin.SIMULATED)
    assert device.imei[-1] == luhn_digit(device.imei[:-1])
    assert has_valid_check_digit(device.vin)
    assert device.origin is Origin.SIMULATED


def test_no_two_cars_share_a_name():
    devices = [make_car(seed, number).as_new_device() for seed in range(5) for number in range(1, 40)]
    assert len({device.imei for device in devices}) == len({device.vin for device in devices}) == 195


@pytest.mark.parametrize(("seed", "number"), [(-1, 1), (MAX_SEED + 1, 1), (1, 0), (1, MAX_CARS + 1)])
def test_what_has_no_place_in_a_name_is_refused(seed, number):
    with pytest.raises(ConfigurationError, match=r"--seed|--vehicles"):
        make_car(seed, number)
