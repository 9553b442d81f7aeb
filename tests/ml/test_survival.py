"""Curves: interpolation, times, Kaplan–Meier."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.survival import EDGES, days_at, from_hazards, kaplan_meier, risk_at, survival_at

hazards = st.lists(st.floats(0.0, 0.9), min_size=8, max_size=8)


@given(hazards)
def test_a_curve_starts_at_one_and_never_rises(steps: list[float]) -> None:
    curve = from_hazards(np.array([steps]))[0]
    assert curve[0] == 1.0
    assert (np.diff(curve) <= 0).all()
    assert curve[-1] == pytest.approx(np.prod(1 - np.array(steps)))


@given(hazards, st.floats(0, 365), st.floats(0, 365))
def test_survival_between_edges_never_rises(steps: list[float], one: float, other: float) -> None:
    curves = from_hazards(np.array([steps]))
    early, late = sorted((one, other))
    assert survival_at(curves, late)[0] <= survival_at(curves, early)[0] + 1e-12


@given(hazards, st.sampled_from([0.9, 0.5, 0.1]))
def test_the_day_of_a_level_is_where_the_curve_has_it(steps: list[float], level: float) -> None:
    curves = from_hazards(np.array([steps]))
    day = days_at(curves, level)[0]
    if np.isnan(day):
        assert curves[0, -1] > level
    else:
        assert survival_at(curves, day)[0] == pytest.approx(level, abs=1e-6)


def test_the_hazard_is_constant_within_an_interval() -> None:
    curves = from_hazards(np.array([[0.0] * 5 + [0.36, 0.0, 0.0]]))
    assert survival_at(curves, 120)[0] == pytest.approx(0.8)  # half way through 90 to 150 days


def test_nothing_is_said_beyond_the_last_edge() -> None:
    curves = from_hazards(np.full((1, 8), 0.1))
    with pytest.raises(ValueError, match="ends at 365"):
        risk_at(curves, EDGES[-1] + 1)
    assert np.isnan(days_at(curves, 0.1)[0])


def test_kaplan_meier_is_the_textbook_product() -> None:
    durations = np.array([1.0, 2.0, 2.0, 3.0, 5.0])
    failed = np.array([True, True, False, True, False])
    curve = kaplan_meier(durations, failed, [0, 1, 2, 3, 6])
    assert curve == pytest.approx([1, 4 / 5, 4 / 5 * 3 / 4, 4 / 5 * 3 / 4 * 1 / 2, 0.3])
    assert kaplan_meier(np.array([]), np.array([], dtype=bool), [10]) == pytest.approx([1.0])
