"""The battery's law and the fleet that comes of it."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.fleet import battery, charging, weather
from simulation.fleet.arrays import Stream, daily_uniforms
from simulation.fleet.battery import End
from simulation.fleet.parameters import PARAMETERS
from simulation.fleet.profiles import draw_profiles

CARS, DAYS, YEAR = 250, 3_000, 365.25
BOREAL, HOT = 0, 4


def live(zone=None, seed=9, cars=CARS, days=DAYS):
    profiles = draw_profiles(seed, tuple(range(1, cars + 1)), PARAMETERS)
    if zone is not None:
        profiles = replace(profiles, zone=np.full(cars, zone))
    temperature = weather.temperatures_c(profiles, PARAMETERS.climate, days)
    lacking = charging.lacking_v(profiles, PARAMETERS.charging, days)
    return battery.live(profiles, temperature, charging.wear_factor(lacking, PARAMETERS.charging), PARAMETERS)


def median_life_months(lives):
    """Kaplan and Meier's median over the batteries that were new when they came; else they are censored."""
    spans = []
    for car in range(lives.end.shape[1]):
        for day in np.flatnonzero(lives.end[:, car]):
            if lives.morning_battery[day, car]:
                is_failure = lives.end[day, car] in (End.WORN, End.SUDDEN)
                spans.append((int(lives.age_days[day - 1, car]) + 1, is_failure))
        if lives.battery[-1, car]:
            spans.append((int(lives.age_days[-1, car]), False))
    survival = 1.0
    for left, (age, is_failure) in zip(range(len(spans), 0, -1), sorted(spans), strict=True):
        survival *= 1 - is_failure / left
        if survival <= 0.5:
            return age / 30.44
    message = "half of the batteries outlive the simulation"
    raise AssertionError(message)


@pytest.fixture(scope="module")
def lives():
    return live()


def test_a_failed_car_stands_one_to_three_days_and_then_has_a_new_battery(lives):
    for day, car in zip(*np.nonzero(np.isin(lives.end, (End.WORN, End.SUDDEN))), strict=True):
        if day > DAYS - 5:
            continue
        standing = lives.is_standing[day : day + 4, car].tolist()
        length = standing.index(False) if False in standing else 4
        assert 1 <= length <= 3
        assert (lives.morning_battery[day : day + length, car] == lives.morning_battery[day, car]).all()
        assert lives.morning_battery[day + length, car] == lives.morning_battery[day, car] + 1
        assert lives.morning_damage[day + length, car] == 0.0
        assert (lives.damage[day : day + length, car] == lives.morning_damage[day, car]).all()


def test_nothing_stands_without_a_failure(lives):
    is_begin = lives.is_standing & ~np.vstack((np.zeros((1, CARS), bool), lives.is_standing[:-1]))
    assert np.isin(lives.end[is_begin], (End.WORN, End.SUDDEN)).all()


def test_a_battery_only_wears_and_ages(lives):
    is_same = lives.battery[1:] == lives.battery[:-1]
    assert (np.diff(lives.damage, axis=0)[is_same] >= 0).all()
    assert (np.diff(lives.age_days, axis=0)[is_same] == 1).all()
    assert (lives.age_days[lives.end == End.PREVENTIVE] == 0).all()


def test_the_fleet_fails_as_often_and_as_suddenly_as_intended(lives):
    settled = lives.end[DAYS // 3 :]
    failures = np.isin(settled, (End.WORN, End.SUDDEN)).sum()
    preventive = (settled == End.PREVENTIVE).sum()
    assert 0.15 < failures / (settled.size / YEAR) < 0.25
    assert 0.15 < (settled == End.SUDDEN).sum() / failures < 0.27
    assert 0.06 < preventive / (failures + preventive) < 0.15


def test_the_median_battery_lives_about_fifty_months_and_less_where_it_is_hot(lives):
    assert 44 < median_life_months(lives) < 56
    per_10c = (median_life_months(live(BOREAL)) / median_life_months(live(HOT))) ** (10 / 12.7)
    assert 1.12 < per_10c < 1.38


def test_hazards_are_drawn_as_said():
    """Uniform numbers end a life just where they lie below 1 - exp(-hazard), the sudden ones lowest."""
    lives = live(cars=60, days=900)
    uniforms = daily_uniforms(9, tuple(range(1, 61)), Stream.HAZARD, 900, 2)[0]
    sudden = lives.end == End.SUDDEN
    daily = PARAMETERS.battery.sudden_per_year / YEAR
    assert sudden.sum() > 0
    assert uniforms[sudden].max() < daily
    is_free = ~lives.is_standing
    assert (uniforms[is_free & (lives.end == End.NONE)] > daily * 0.999).all()


@pytest.mark.parametrize(("cold_c", "warm_c"), [(-10.0, 0.0), (0.0, 10.0)])
def test_cold_raises_the_hazard_and_heat_the_wear(cold_c, warm_c):
    law = PARAMETERS.battery
    cold, warm = (battery.cold_factor(np.array(c), law) for c in (cold_c, warm_c))
    assert cold / warm == pytest.approx(np.exp(law.cold_per_10c))
    slow, fast = (battery.heat_factor(np.array(c), law) for c in (cold_c, warm_c))
    assert fast / slow == pytest.approx(law.wear_q10)
