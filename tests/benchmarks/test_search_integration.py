"""The benchmark's searches find what they name, on servers of its own."""

import pytest

from benchmarks import search

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_searches_find_their_vehicles_and_all_figures_are_there() -> None:
    report = search.run(vehicles=300, searches=9)  # raises when a VIN does not find its vehicle
    assert {"search_p99_ms", "rebuild_seconds", "feed_documents_per_s"} <= set(report.figures)
    assert all(value > 0 for value in report.figures.values())
