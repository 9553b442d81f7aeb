"""The benchmark's searches find what they name, on servers of its own."""

import pytest

from benchmarks import search

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_searches_find_their_vehicles_and_all_figures_are_there() -> None:
    report = search.run(vehicles=300, searches=9)  # raises when a VIN does not find its vehicle
    assert {"search_p99_ms", "rebuild_seconds", "feed_documents_per_s"} <= set(report.figures)
    assert all(value > 0 for value in report.figures.values())


def test_a_percentile_is_a_value_that_occurred() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (search._percentile(values, 50), search._percentile(values, 99)) == (50.0, 99.0)
    assert search._percentile([7.0], 99) == 7.0
