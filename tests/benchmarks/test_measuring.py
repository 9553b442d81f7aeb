import json

import pytest

from benchmarks.measuring import BaselineCheck, Report, calibrate, calibration_scale, in_turns, percentile


@pytest.mark.parametrize(
    ("measured", "counts"), [(10.0, True), (14.9, True), (15.1, False), (6.7, True), (6.6, False)]
)
def test_a_baseline_counts_within_half_of_its_reference_either_way(measured: float, counts: bool) -> None:
    check = BaselineCheck("usual way", measured, reference_us=5.0, scale=2.0)
    assert check.counts is counts
    assert ("DOES NOT COUNT" in check.note()) is not counts


def test_work_runs_in_turns() -> None:
    done: list[str] = []
    seconds = in_turns(3, lambda: done.append("a"), lambda: done.append("b"))
    assert done == ["a", "b"] * 3
    assert [len(times) for times in seconds] == [3, 3]


def test_the_scale_is_the_loops_time_over_its_reference() -> None:
    calibrate()
    assert calibration_scale([0.01, 0.02 * 79e-6, 9.0]) == pytest.approx(0.01 / 20 / 79e-6)


def test_a_report_is_json_with_the_three_keys_that_every_benchmark_has() -> None:
    document = json.loads(json.dumps(Report("decode", {"ratio": 1 / 3}, ("note",)).document()))
    assert document["benchmark"] == "decode"
    assert document["figures"] == {"ratio": 0.3333}
    assert {"processor", "cores", "python", "load_1min"} <= set(document["machine"])


def test_a_percentile_is_a_value_that_occurred() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99)) == (50.0, 99.0)
    assert percentile([7.0], 99) == 7.0
