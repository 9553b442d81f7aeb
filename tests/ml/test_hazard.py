"""The hazard behaves as physics and common sense ask, whatever the fleet taught it."""

import numpy as np
import pandas as pd
import pytest

from ml.dataset import TrainingSet
from ml.errors import TooFewFailuresError
from ml.features import BATTERY_FEATURES, DIRECTIONS, check_frame
from ml.fitted import FittedModel
from ml.hazard import HazardModel, HazardSettings
from ml.person_period import Labels, expand
from ml.survival import EDGES
from tests.ml.fleet import make_rows

SMALL = HazardSettings(max_iter=20)


def make_worn(count: int = 1, **overrides: object) -> pd.DataFrame:
    usual = {"crank_mean_v_28d": 10.0, "crank_resistance_mohm_28d": 9.0, "crank_min_v_28d": 9.3}
    return check_frame(make_rows(count, **(usual | overrides)))


@pytest.mark.parametrize("feature", [name for name, sign in DIRECTIONS.items() if sign])
def test_a_worse_signal_never_lowers_the_risk(model: FittedModel, feature: str) -> None:
    rows = make_worn(61, **{feature: np.linspace(-30, 30, 61) * DIRECTIONS[feature]})
    assert (np.diff(model.long_risk(rows)) >= -1e-9).all()


def test_a_worn_battery_is_riskier_than_a_fresh_one(model: FittedModel) -> None:
    worn = make_worn(crank_resistance_mohm_28d=10.0, crank_mean_v_28d=9.6)
    fresh = make_worn(crank_resistance_mohm_28d=6.3, crank_mean_v_28d=11.0, crank_min_v_28d=10.6)
    assert model.long_risk(worn)[0] > 5 * model.long_risk(fresh)[0]


def test_the_order_and_the_company_of_rows_change_nothing(
    model: FittedModel, training_set: TrainingSet
) -> None:
    rows = training_set.landmarks.head(200)
    order = np.random.default_rng(1).permutation(len(rows))
    together = model.survival(rows)
    assert np.array_equal(model.survival(rows.iloc[order]), together[order])
    assert np.array_equal(model.survival(rows.iloc[[7]]), together[[7]])


def test_a_car_of_which_nothing_is_known_still_has_a_curve(model: FittedModel) -> None:
    rows = check_frame(make_rows(3, **dict.fromkeys(BATTERY_FEATURES, np.nan)))
    curves = model.survival(rows)
    assert np.isfinite(curves).all()
    assert ((curves > 0) & (curves <= 1)).all()
    assert model.survival(rows.iloc[:0]).shape == (0, len(EDGES))


def test_every_interval_expects_the_failures_that_were_seen(training_set: TrainingSet) -> None:
    model = HazardModel(SMALL).fit(training_set.landmarks, training_set.labels)
    periods = expand(training_set.labels, EDGES)
    curves = model.survival(training_set.landmarks)
    hazards = 1 - curves[:, 1:] / curves[:, :-1]
    for interval in range(len(EDGES) - 1):
        inside = periods.interval == interval
        expected = hazards[periods.landmark[inside], interval].sum()
        assert expected == pytest.approx(periods.is_event[inside].sum(), rel=1e-6)


def test_the_same_data_and_seed_give_the_same_model(training_set: TrainingSet) -> None:
    one, two = (
        HazardModel(SMALL, random_state=3).fit(training_set.landmarks, training_set.labels) for _ in range(2)
    )
    rows = training_set.landmarks.head(100)
    assert np.array_equal(one.survival(rows), two.survival(rows))


def test_a_feature_that_nobody_reports_is_no_obstacle(training_set: TrainingSet) -> None:
    rows = training_set.landmarks.assign(charge_v_28d=np.nan)
    model = HazardModel(SMALL).fit(rows, training_set.labels)
    seen = model.survival(rows.head(10).assign(charge_v_28d=9.0))
    assert np.array_equal(seen, model.survival(rows.head(10)))


def test_nothing_is_learned_from_a_handful_of_failures(training_set: TrainingSet) -> None:
    labels = training_set.labels
    healthy = Labels(labels.exposure_days, np.zeros(len(labels), dtype=bool), labels.exposure_days)
    with pytest.raises(TooFewFailuresError, match="too few to learn from"):
        HazardModel(SMALL).fit(training_set.landmarks, healthy)
