"""The warehouse benchmark's day of data, and a small run of it on servers of its own."""

from datetime import date

import pytest

from benchmarks import warehouse
from benchmarks.baselines.naive_decoder import decode_frame
from benchmarks.page import TARGETS
from benchmarks.simulated_day import simulate_day

_DAY = date(2026, 11, 25)


def test_a_simulated_day_is_always_the_same_and_has_all_that_marts_are_made_of() -> None:
    day, again = simulate_day(_DAY, 12), simulate_day(_DAY, 12)
    assert day == again
    records = [record for arrival in day.frames for record in decode_frame(arrival.frame)]
    elements = {element for record in records for element in record["io"]}
    assert {239, 240, 66, 16, 48, 53, 30, 253, 254} <= elements
    assert {record["event_id"] for record in records} == {0, 239, 253}
    assert len({record["timestamp_ms"] // 86_400_000 for record in records}) == 1
    assert 0 < day.reporting <= len(day.devices) == 12
    for arrival in day.frames:
        assert arrival.received_ms > decode_frame(arrival.frame)[-1]["timestamp_ms"]


@pytest.mark.integration
@pytest.mark.slow
def test_the_whole_benchmark_runs_and_has_its_figures() -> None:
    report = warehouse.run(1, vehicles=60, days=120, pages=2, with_recorded=False)
    asked = {target.figure for target in TARGETS["warehouse"] if not target.figure.endswith("_real")}
    assert asked <= set(report.figures)
    assert all(value > 0 for name, value in report.figures.items() if "between" not in name)
