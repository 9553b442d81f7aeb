"""Predictions: one for every car, whatever is known of it, in words that a person can check."""

import json
import time
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from ml.claims import RiskLevel
from ml.errors import FeatureFrameError, LeakageError
from ml.features import BATTERY_FEATURES, FEATURES, check_frame
from ml.fitted import FittedModel
from ml.predict import Prediction, predict
from ml.reference import FleetReference
from ml.sufficiency import THRESHOLD, data_sufficiency
from tests.ml.fleet import make_rows

NOW = datetime(2025, 1, 15, 2, 20, tzinfo=UTC)
WORN = {
    "crank_mean_v_28d": 9.4,
    "crank_resistance_mohm_28d": 10.5,
    "crank_min_v_28d": 8.9,
    "rest_v_28d": 12.2,
}
NO_12_V = dict.fromkeys(
    [name for name in BATTERY_FEATURES if name.startswith(("crank", "rest", "charge", "days_since"))], np.nan
)


def predict_one(model: FittedModel, **overrides: object) -> Prediction:
    return predict(model, make_rows(1, **overrides), scored_at=NOW)[0]


def test_a_worn_battery_gets_a_warning_with_evidence_that_raises_the_risk(model: FittedModel) -> None:
    found = predict_one(model, **WORN)
    assert found.risk_level is RiskLevel.HIGH
    assert found.confidence == found.risk_30
    assert 1 <= len(found.evidence) <= 3
    assert all(item.contribution > 0 for item in found.evidence)
    contributions = [item.contribution for item in found.evidence]
    assert contributions == sorted(contributions, reverse=True)
    assert found.evidence[0].fleet_quantile is not None


def test_the_lowest_crank_voltage_is_quoted_with_its_day_and_cold(model: FittedModel) -> None:
    extreme = WORN | {"crank_min_v_28d": 4.0, "crank_mean_v_28d": 10.8, "crank_resistance_mohm_28d": 9.5}
    quoted = [item for item in predict_one(model, **extreme).evidence if item.feature == "crank_min_v_28d"]
    if not quoted:  # the resistance may stand further out in this fleet
        reference = FleetReference.of(
            check_frame(make_rows(300, crank_min_v_28d=np.linspace(9, 11, 300))), BATTERY_FEATURES
        )
        apart = FittedModel(
            model.component, model.model_id, model.hazard, model.calibration, reference, model.trained_on
        )
        quoted = [i for i in predict_one(apart, **extreme).evidence if i.feature == "crank_min_v_28d"]
    assert quoted[0].text == "lowest crank voltage 4.0 V on 2025-01-12 at -5 °C, fleet P1"
    assert quoted[0].date == date(2025, 1, 12)
    assert quoted[0].unit == "V"


def test_a_fresh_battery_is_low_with_no_date_and_high_confidence(model: FittedModel) -> None:
    found = predict_one(model, crank_mean_v_28d=11.2, crank_resistance_mohm_28d=6.2, crank_min_v_28d=10.9)
    assert found.risk_level is RiskLevel.LOW
    assert found.confidence is not None
    assert found.confidence > 0.9
    assert found.confidence == pytest.approx(1 - found.risk_90)
    assert found.latest_failure is None


def test_dates_follow_the_curve_and_stay_within_a_year(model: FittedModel) -> None:
    rows = make_rows(
        200, crank_mean_v_28d=np.linspace(9, 11.2, 200), crank_resistance_mohm_28d=np.linspace(11, 6, 200)
    )
    for found in predict(model, rows, scored_at=NOW):
        assert len(found.survival) == 9
        assert (found.estimated_failure is not None) == (found.survival[-1] <= 0.5)
        days = [day for day in (found.earliest_failure, found.estimated_failure, found.latest_failure) if day]
        assert days == sorted(days)
        assert all(found.as_of < day <= found.as_of + timedelta(days=365) for day in days)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"valid_days_28d": 0.0} | NO_12_V, "no 12 V voltage was reported in the last 28 days"),
        (
            {"valid_days_28d": np.nan, "valid_days_90d": np.nan} | NO_12_V,
            "no 12 V voltage was reported in the last 28 days",
        ),
        ({"valid_days_28d": 0.0, "rest_v_28d": 12.5}, "no start's voltage dip was seen in the last 28 days"),
        ({"valid_days_28d": 1.0}, "only 1 day with a start in the last 28"),
        ({"valid_days_28d": 11.0}, "only 11 days with a start in the last 28"),
        (
            {"valid_days_28d": 0.0, "days_since_valid": 63.0}
            | dict.fromkeys(("engine_on_h_28d", "distance_km_28d"), np.nan),
            "silent for 63 days",
        ),
        (
            {"valid_days_28d": 14.0, "ambient_c_28d": np.nan},
            "only 14 of the last 28 days have a start, and without outside temperature",
        ),
    ],
)  # fmt: skip
def test_too_little_data_is_unknown_for_a_reason_in_words(
    model: FittedModel, row: dict[str, float], reason: str
) -> None:
    found = predict_one(model, **(WORN | row))
    assert found.risk_level is RiskLevel.UNKNOWN
    assert found.reason == reason
    assert found.data_sufficiency < THRESHOLD
    assert (found.risk_30, found.risk_90, found.confidence, found.estimated_failure) == (None,) * 4
    assert found.survival == ()
    assert found.evidence == ()


def test_a_car_of_which_every_feature_is_null_is_unknown(model: FittedModel) -> None:
    found = predict_one(model, newest_known_at=pd.NaT, **dict.fromkeys(BATTERY_FEATURES, np.nan))
    assert found.risk_level is RiskLevel.UNKNOWN
    assert found.data_sufficiency == 0.0


def test_sufficiency_is_a_share_of_days_and_of_signals() -> None:
    rows = make_rows(3, valid_days_28d=[28.0, 14.0, 28.0], ambient_c_28d=[1.0, 1.0, np.nan])
    assert data_sufficiency(rows) == pytest.approx([1.0, 0.5, 0.75])


def test_every_car_gets_its_answer_in_the_order_of_the_rows(model: FittedModel) -> None:
    rows = make_rows(40, valid_days_28d=np.where(np.arange(40) % 3 == 0, 1.0, 24.0))
    found = predict(model, rows, scored_at=NOW)
    assert [prediction.vin for prediction in found] == rows["vin"].tolist()
    again = predict(model, rows.sample(frac=1, random_state=1), scored_at=NOW)
    assert {p.vin: p for p in again} == {p.vin: p for p in found}
    alone = predict(model, rows.iloc[[5]], scored_at=NOW)[0]
    assert alone == found[5]


def test_a_row_is_what_the_warehouse_takes(model: FittedModel) -> None:
    row = predict_one(model, **WORN).as_row()
    assert list(row) == [
        "vin", "component", "as_of", "origin", "risk_level", "risk_30", "risk_90", "estimated_failure",
        "earliest_failure", "latest_failure", "confidence", "data_sufficiency", "reason", "evidence",
        "survival", "model_id", "trained_on", "scored_at",
    ]  # fmt: skip
    assert row["scored_at"] == NOW
    assert type(row["risk_level"]) is str
    assert type(row["risk_30"]) is float
    assert type(row["as_of"]) is date
    evidence = json.loads(row["evidence"])
    assert set(evidence[0]) == {"text", "feature", "value", "unit", "date", "fleet_quantile", "contribution"}
    assert json.loads(row["trained_on"])["origins"] == ["simulated"]


def test_origins_are_never_scored_together(model: FittedModel) -> None:
    rows = make_rows(2, origin=["simulated", "recorded"])
    with pytest.raises(FeatureFrameError, match="recorded, simulated"):
        predict(model, rows)


def test_a_row_that_knows_the_future_is_not_scored(model: FittedModel) -> None:
    with pytest.raises(LeakageError):
        predict_one(model, newest_known_at=pd.Timestamp("2025-01-15T00:00Z"))


def test_no_cars_no_predictions(model: FittedModel) -> None:
    assert predict(model, make_rows(2).iloc[:0]) == []


def test_the_fleet_is_that_of_the_month() -> None:
    winter = make_rows(300, as_of=date(2025, 1, 14), crank_min_v_28d=np.linspace(8.0, 9.0, 300))
    summer = make_rows(300, as_of=date(2025, 7, 14), crank_min_v_28d=np.linspace(10.0, 11.0, 300))
    rows = check_frame(
        pd.concat([winter, summer]).assign(vin=[f"SYN{n:014d}" for n in range(600)], newest_known_at=pd.NaT)
    )
    reference = FleetReference.of(rows, BATTERY_FEATURES)
    usual = reference.quantile_of(rows.iloc[[150, 450]].assign(crank_min_v_28d=8.95), "crank_min_v_28d")
    assert usual[0] > 0.9
    assert usual[1] < 0.02
    restored = FleetReference.from_document(json.loads(json.dumps(reference.as_document())))
    assert np.array_equal(restored.quantiles, reference.quantiles, equal_nan=True)


def test_every_feature_has_a_group_and_a_unit_and_each_group_something_to_quote() -> None:
    assert len(set(BATTERY_FEATURES)) == len(FEATURES) == 41
    quotable = {feature.group for feature in FEATURES if feature.words}
    assert {feature.group for feature in FEATURES} - quotable == {"season"}


def test_a_thousand_cars_are_scored_in_two_seconds_of_processor_time(model: FittedModel) -> None:
    rng = np.random.default_rng(1)
    rows = make_rows(1000, crank_mean_v_28d=rng.normal(10.2, 0.6, 1000))
    started = time.process_time()
    predict(model, rows)
    assert time.process_time() - started < 2
