"""The oracle against the law worked out day by day, and against what happened."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from simulation.fleet.battery import End
from simulation.fleet.life import day_number, simulate_life
from simulation.fleet.oracle import battery_days
from simulation.fleet.parameters import DAYS_PER_YEAR, EPOCH, PARAMETERS, Parameters
from simulation.fleet.weather import normals_c

END = date(2024, 12, 31)
FIRST = day_number(date(2022, 1, 1))


def calm() -> Parameters:
    """Every day has its normal temperature and no alternator fails: nothing of the future is unknown."""
    zones = tuple(replace(zone, anomaly_sd_c=0.0) for zone in PARAMETERS.climate.zones)
    return replace(
        PARAMETERS,
        climate=replace(PARAMETERS.climate, zones=zones),
        charging=replace(PARAMETERS.charging, fault_per_year=0.0),
    )


def risk_day_by_day(life, car, day, horizon, parameters):
    """Probability that the battery in the car fails in the days after this one: the law, step by step."""
    battery, zone = parameters.battery, int(life.profiles.zone[car])
    temperatures = normals_c(parameters.climate, day + horizon + 1)[:, zone]
    number = int(life.batteries.battery[day, car]) % len(life.batteries.quality)
    rate = battery.wear_per_year / DAYS_PER_YEAR * life.profiles.use_factor[car]
    rate /= life.batteries.quality[number, car]
    damage, age = life.batteries.damage[day, car], int(life.batteries.age_days[day, car])
    survival = risk = 0.0
    survival = 1.0
    for ahead in range(1, horizon + 1):
        c = temperatures[day + ahead]
        worn = battery.worn_out_per_year * math.exp(battery.steepness * (damage - 1))
        worn *= math.exp(battery.cold_per_10c * max(battery.cold_below_c - c, 0) / 10)
        failing = (battery.sudden_per_year + worn) / DAYS_PER_YEAR
        is_old = age >= battery.preventive_from_days
        total = failing + (battery.preventive_per_year / DAYS_PER_YEAR if is_old else 0.0)
        ending = survival * (1 - math.exp(-total))
        risk += ending * failing / total
        survival -= ending
        damage += rate * battery.wear_q10 ** ((c - 15) / 10)
        age += 1
    return risk


def test_risks_are_those_of_the_law_day_by_day():
    parameters = calm()
    life = simulate_life(3, tuple(range(1, 41)), END, parameters)
    table = battery_days(life, FIRST, parameters).to_pydict()
    rows = [(car, day) for car in range(40) for day in range(FIRST, life.days)]
    rows = [(car, day) for car, day in rows if not life.batteries.is_standing[day, car]]
    assert len(rows) == len(table["vin"])
    # some at random and the riskiest
    risky = np.argsort(table["risk_90"])[-40:]
    for place in {*range(0, len(rows), len(rows) // 60), *risky.tolist()}:
        car, day = rows[place]
        assert table["date"][place] == EPOCH + timedelta(days=day)
        for name, horizon in (("hazard_1d", 1), ("risk_30", 30), ("risk_90", 90)):
            by_law = risk_day_by_day(life, car, day, horizon, parameters)
            assert table[name][place] == pytest.approx(by_law, rel=4e-3), (name, car, day)
    assert max(table["risk_90"]) > 0.8


@pytest.fixture(scope="module")
def fleet():
    """Three years of a fleet: its oracle, and for each row the days until the failure."""
    life = simulate_life(17, tuple(range(1, 401)), END, PARAMETERS)
    table = battery_days(life, FIRST, PARAMETERS).to_pydict()
    failed = np.isin(life.batteries.end, (End.WORN, End.SUDDEN))
    far = np.full(failed.shape, 10_000)
    far[-1] = np.where(failed[-1], 0, 10_000)
    for day in range(len(far) - 2, -1, -1):
        far[day] = np.where(failed[day], 0, far[day + 1] + 1)
    ahead = np.full(failed.shape, 10_000)
    ahead[:-1] = far[1:] + 1
    car, day = np.nonzero(~life.batteries.is_standing[FIRST:].T)
    return table, ahead[day + FIRST, car], day + FIRST, life.days


@pytest.mark.parametrize(("name", "horizon"), [("hazard_1d", 1), ("risk_30", 30), ("risk_90", 90)])
def test_as_many_fail_as_the_oracle_expects(fleet, name, horizon):
    table, ahead, day, days = fleet
    # windows that do not overlap: each failure is counted once, so counts scatter like Poisson's
    is_counted = ((day - FIRST) % horizon == 0) & (day + horizon < days)
    expected = np.array(table[name])[is_counted].sum()
    observed = (ahead[is_counted] <= horizon).sum()
    assert expected > 180
    assert abs(observed - expected) < 3 * math.sqrt(expected)


def test_the_oracle_tells_the_worn_from_the_sound(fleet):
    table, ahead, day, days = fleet
    is_counted = day + 90 < days
    risk, fails = np.array(table["risk_90"])[is_counted], ahead[is_counted] <= 90
    for low, high in ((0.0, 0.03), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        inside = (risk >= low) & (risk < high)
        assert inside.sum() > 500
        # rows of one battery fall together: about 90 of them see the same end
        scatter = 4 * math.sqrt(risk[inside].mean() * 90 / inside.sum())
        assert abs(fails[inside].mean() - risk[inside].mean()) < scatter
