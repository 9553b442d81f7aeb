import json
from datetime import date

from warehouse.prediction_checks import judge_cover, judge_sums

NEWEST = date(2026, 11, 25)


def _parts(*lost: float | None) -> str:
    return json.dumps([{"component": f"c{n}", "points_lost": points} for n, points in enumerate(lost)])


def test_a_fleet_that_is_covered_passes_and_counts_the_unknown():
    result = judge_cover(NEWEST, NEWEST, 20, 3, [])
    assert result.passed
    assert result.numbers["unknown"] == 3


def test_a_vehicle_without_prediction_fails():
    result = judge_cover(NEWEST, NEWEST, 20, 3, ["A VIN"])
    assert not result.passed
    assert result.numbers["vehicles_without"] == 1
    assert "A VIN" not in result.description, "checks are logged, and a VIN is personal"


def test_a_scoring_that_stopped_fails_though_it_covered_the_fleet_then():
    assert judge_cover(NEWEST, date(2026, 11, 27), 20, 0, []).passed
    assert not judge_cover(NEWEST, date(2026, 11, 28), 20, 0, []).passed


def test_scores_that_are_100_less_their_parts_pass():
    assert judge_sums([(77, _parts(20.1, 2.9)), (40, _parts(10.0, 50.0)), (None, _parts(None))]).passed


def test_a_score_that_is_not_the_sum_fails():
    result = judge_sums([(77, _parts(20.0, 3.0)), (77, _parts(20.0, 3.1)), (None, _parts(None))])
    assert not result.passed
    assert result.numbers == {"scores": 2, "unknown": 1, "wrong": 1}
