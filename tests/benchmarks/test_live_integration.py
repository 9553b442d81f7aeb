"""The benchmark's two readers leave the same behind, and its figures are there."""

import pytest

from benchmarks import live

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_both_readers_leave_the_same_behind_and_all_figures_are_there() -> None:
    report = live.run(rounds=1)  # raises when Valkey holds something else after the other one
    assert {"microseconds_per_record", "ratio_to_reference"} <= set(report.figures)
    assert all(value >= 0 for value in report.figures.values())
