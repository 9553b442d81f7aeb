import pytest

from simulation.device.schedule import AsRecorded, AtOnce
from tests.simulation.device.columns import whole

TIMES = whole([1000, 2000, 2000, 5000])


def at(now_s, speedup=1.0):
    return AsRecorded(anchor_ms=1000, anchor_s=100.0, speedup=speedup, clock=lambda: now_s)


def test_a_backlog_is_due_at_once():
    assert AtOnce().due(TIMES, 0) == 4
    assert AtOnce().seconds_until(10**15) == 0


@pytest.mark.parametrize(("now_s", "due"), [(99.0, 0), (100.0, 1), (100.999, 1), (101.0, 3), (200.0, 4)])
def test_records_become_due_as_they_were_recorded(now_s, due):
    assert at(now_s).due(TIMES, 0) == due


def test_what_is_sent_is_never_taken_back():
    assert at(99.0).due(TIMES, 2) == 2


def test_speedup_divides_the_spacing():
    assert at(100.0, 10).seconds_until(5000) == pytest.approx(0.4)
    assert at(100.4, 10).due(TIMES, 0) == 4
    assert at(100.0, 0.5).seconds_until(2000) == pytest.approx(2.0)
