"""The health score: its parts add up, trouble codes cap it, and no knowledge is no score."""

import json
import math
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.claims import RiskLevel
from ml.health import CAP, SAFETY_PART, WEIGHTS, health_scores, is_safety_critical
from ml.predict import Prediction

NOW = datetime(2026, 3, 1, 2, 20, tzinfo=UTC)
VIN = "SYN00000000000000"


def make_prediction(survival_90: float | None, component: str = "battery", vin: str = VIN) -> Prediction:
    known = survival_90 is not None
    return Prediction(
        vin=vin, component=component, as_of=date(2026, 2, 28), origin="simulated",
        risk_level=RiskLevel.LOW if known else RiskLevel.UNKNOWN, risk_30=None, risk_90=None,
        estimated_failure=None, earliest_failure=None, latest_failure=None, confidence=None,
        data_sufficiency=1.0 if known else 0.0, reason="" if known else "silent for 63 days", evidence=(),
        survival=(1.0, 1.0, 1.0, 1.0, 1.0, survival_90, 0.0, 0.0, 0.0) if survival_90 is not None else (),
        model_id="m", trained_on={}, scored_at=NOW,
    )  # fmt: skip


def test_one_component_is_its_survival_to_the_power_of_its_weight() -> None:
    (score,) = health_scores([make_prediction(0.5)], {}, scored_at=NOW)
    assert score.health_score == round(100 * 0.5 ** WEIGHTS["battery"]) == 66
    battery = next(part for part in score.parts if part.component == "battery")
    assert battery.points_lost == 34.0
    assert battery.status == "known"


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=4), st.booleans())
def test_points_lost_add_up_to_what_is_missing(survivals: list[float], has_code: bool) -> None:
    predictions = [
        make_prediction(survival, component) for survival, component in zip(survivals, WEIGHTS, strict=False)
    ]
    codes = {VIN: ("C0035",)} if has_code else {}
    (score,) = health_scores(predictions, codes, scored_at=NOW)
    assert score.health_score is not None
    lost = sum(part.points_lost for part in score.parts if part.points_lost is not None)
    assert lost == pytest.approx(100 - score.health_score, abs=1e-9)
    assert 0 <= score.health_score <= (CAP if has_code else 100)
    expected = 100 * math.prod(
        survival ** WEIGHTS[component] for survival, component in zip(survivals, WEIGHTS, strict=False)
    )
    assert score.health_score == pytest.approx(min(expected, CAP) if has_code else expected, abs=0.51)


def test_a_safety_critical_code_caps_and_says_so() -> None:
    (score,) = health_scores([make_prediction(0.99)], {VIN: ("P0171", "C0035")}, scored_at=NOW)
    assert score.health_score == CAP
    assert score.is_capped
    part = score.parts[-1]
    assert (part.component, part.reason) == (SAFETY_PART, "active: C0035")
    assert "at most 40" in score.rule


def test_other_codes_and_scores_below_the_cap_are_left_alone() -> None:
    (plain,) = health_scores([make_prediction(0.99)], {VIN: ("P0171",)}, scored_at=NOW)
    assert not plain.is_capped
    (low,) = health_scores([make_prediction(0.1)], {VIN: ("C0035",)}, scored_at=NOW)
    assert low.health_score == 25
    assert not low.is_capped


@pytest.mark.parametrize(
    ("code", "critical"),
    [("C0035", True), ("B0012", True), ("P0217", True), ("U0121", True), ("P0562", False), ("B1234", False)],
)
def test_which_codes_are_safety_critical(code: str, critical: bool) -> None:
    assert is_safety_critical(code) is critical


def test_nothing_known_is_no_score_but_says_why() -> None:
    (score,) = health_scores([make_prediction(None)], {VIN: ("C0035",)}, scored_at=NOW)
    assert score.health_score is None
    assert not score.is_capped
    reasons = {part.component: part.reason for part in score.parts}
    assert reasons["battery"] == "silent for 63 days"
    assert reasons["brakes"] == "no model for this component yet"
    assert all(part.points_lost is None for part in score.parts)


def test_one_score_per_vehicle_in_order_as_the_warehouse_takes_it() -> None:
    vins = ["SYN00000000000002", "SYN00000000000001"]
    scores = health_scores([make_prediction(0.9, vin=vin) for vin in vins], {}, scored_at=NOW)
    assert [score.vin for score in scores] == vins
    row = scores[0].as_row()
    assert list(row) == [
        "vin", "as_of", "origin", "health_score", "parts", "rule", "is_capped", "scored_at",
    ]  # fmt: skip
    assert set(json.loads(row["parts"])[0]) == {
        "component", "survival_90", "weight", "points_lost", "status", "reason",
    }  # fmt: skip
