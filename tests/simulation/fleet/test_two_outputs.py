"""The records of the device port and the day signals of the history tell the same days of the same cars."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from simulation.fleet.battery import End
from simulation.fleet.history import SIGNALS, write_history
from simulation.fleet.life import simulate_life
from simulation.fleet.parameters import EPOCH, PARAMETERS
from simulation.fleet.source import fleet_sources
from tests.simulation.fleet.derivation import day_signals

SEED, VEHICLES, DAYS = 11, 24, 30
SEARCHED_UNTIL = date(2024, 12, 31)


def window_with(kind: End) -> tuple[date, int]:
    """An end day and a car whose battery ends in that way a fortnight before it."""
    life = simulate_life(SEED, tuple(range(1, VEHICLES + 1)), SEARCHED_UNTIL, PARAMETERS)
    ends = life.batteries.end
    day, car = next(
        (day, car)
        for day, car in zip(*np.nonzero(ends == kind), strict=True)
        if day > DAYS and not life.is_silent[day, car]
    )
    return EPOCH + timedelta(days=int(day) + 14), int(car) + 1


@pytest.fixture(scope="module", params=[End.WORN, End.SUDDEN, End.PREVENTIVE], ids=lambda end: end.name)
def both(request, tmp_path_factory):
    """Day signals by (vin, date), from the files and from the records, of two cars with one such end."""
    end_day, number = window_with(request.param)
    folder = tmp_path_factory.mktemp("history") / "fleet"
    shape = {"seed": SEED, "vehicles": max(number, 2), "days": DAYS, "end_day": end_day}
    write_history(folder, **shape)
    sources = fleet_sources(**shape)
    some = [sources[number - 1], sources[number - 2]]
    vins = {source.device.vin for source in some}
    rows = pq.read_table(folder / SIGNALS).to_pylist()
    from_files = {(row["vin"], row["date"]): row for row in rows if row["vin"] in vins}
    from_records = {
        (source.device.vin, day): signals for source in some for day, signals in day_signals(source).items()
    }
    return from_files, from_records


def test_failed_starts_are_among_what_is_compared(both, request):
    _, from_records = both
    shortest = min(signals["shortest_trip_s"] for signals in from_records.values())
    if request.node.callspec.params["both"] is End.PREVENTIVE:
        assert shortest >= 120
    else:
        assert 6 <= shortest <= 12


def test_both_have_the_same_days(both):
    from_files, from_records = both
    assert len(from_files) > DAYS
    assert from_files.keys() == from_records.keys()


@pytest.mark.parametrize(
    "name",
    ["start_count", "crank_count", "short_trip_count", "engine_on_s", "distance_m", "dtc_codes", "dtc_known"],
)
def test_counts_distances_and_codes_are_equal(both, name):
    from_files, from_records = both
    assert {key: row[name] for key, row in from_files.items()} == {
        key: row[name] for key, row in from_records.items()
    }


@pytest.mark.parametrize(
    "name",
    ["crank_min_v", "crank_mean_v", "rest_v", "rest_min_v", "charge_v", "charge_min_v", "ambient_c"],
)
def test_voltages_and_temperatures_are_equal_to_the_microvolt(both, name):
    from_files, from_records = both
    assert any(row[name] is not None for row in from_files.values())
    for key, row in from_files.items():
        derived = from_records[key][name]
        assert (row[name] is None) == (derived is None), key
        if derived is not None:
            assert row[name] == pytest.approx(derived, abs=1.01e-6), key


def test_a_day_is_known_six_hours_after_its_end(both):
    from_files, _ = both
    for (_, day), row in from_files.items():
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        assert row["known_at"] == midnight + timedelta(hours=6)
