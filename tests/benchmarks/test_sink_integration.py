"""The benchmark's two ways store the same records, and its figures carry the names that the issues fix."""

import pytest

from benchmarks import sink

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_both_ways_store_every_record_and_all_figures_are_there() -> None:
    report = sink.run(rounds=1)  # raises when the tables do not hold what was sent
    assert {"microseconds_per_record", "copy_ratio_to_row_jsonb", "ratio_counts"} <= set(report.figures)
    assert all(value >= 0 for value in report.figures.values())
