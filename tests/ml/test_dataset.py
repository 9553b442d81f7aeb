"""Landmarks and labels: what is an event, what is censored, what is left out and counted."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from ml.dataset import TrainingSet, build_training_set, is_landmark_day, shuffle_labels
from ml.errors import FeatureFrameError, LeakageError, TooFewFailuresError
from ml.features import BATTERY_FEATURES, check_frame
from tests.ml.fleet import Fleet, make_rows

VIN = "SYN00000000000000"
START = date(2025, 1, 2)
UNTIL = date(2025, 12, 31)


def make_history(*days: int, vin: str = VIN) -> pd.DataFrame:
    """Feature rows of one car, so many days after START."""
    rows = []
    for day in days:
        as_of = START + timedelta(days=day)
        rows.append(make_rows(1, vin=vin, as_of=as_of, newest_known_at=pd.Timestamp(as_of, tz="UTC")))
    return pd.concat(rows, ignore_index=True)


def make_record(day: int, *, lag: int = 4, **overrides: object) -> dict[str, object]:
    performed = START + timedelta(days=day)
    record = {
        "vin": VIN,
        "component": "battery",
        "kind": "replacement",
        "performed_on": performed,
        "recorded_at": pd.Timestamp(performed, tz="UTC") + pd.Timedelta(days=lag, hours=9),
        "odometer_mi": 1000.0,
        "reason": "failure",
    }
    return record | overrides


def build(features: pd.DataFrame, *records: dict[str, object], **options: object) -> TrainingSet:
    table = pd.DataFrame(records, columns=list(make_record(0)))
    options = {"silence_days": 10_000} | options  # these histories are a few rows long
    return build_training_set(features, table, data_until=UNTIL, **options)  # type: ignore[arg-type]


def test_the_first_replacement_after_the_landmark_is_its_failure() -> None:
    built = build(make_history(0, 14, 28), make_record(20), make_record(200))
    assert built.landmarks["duration_days"].tolist() == [20, 6, 172]
    assert built.landmarks["is_event"].all()
    assert built.failure_count == 2


def test_a_replacement_of_unknown_reason_is_a_failure_and_a_repair_is_none() -> None:
    built = build(make_history(0), make_record(10, kind="repair"), make_record(20, reason="unknown"))
    assert built.landmarks["duration_days"].tolist() == [20]
    assert built.left_out["records_of_other_kinds"] == 1


def test_a_preventive_replacement_ends_the_watching_without_a_failure() -> None:
    built = build(make_history(0), make_record(50, reason="preventive"), make_record(80))
    assert built.landmarks["duration_days"].tolist() == [50]
    assert not built.landmarks["is_event"].any()


def test_watching_ends_before_the_data_do() -> None:
    built = build(make_history(0), make_record(350), maturity_days=30)
    row = built.landmarks.iloc[0]
    assert row["duration_days"] == row["exposure_days"] == (UNTIL - START).days - 30
    assert not row["is_event"]


def test_a_vehicle_that_fell_silent_is_watched_no_longer_than_its_silence_allows() -> None:
    silent, heard = make_history(0, 14), make_history(0, 14, 350, vin="SYN00000000000001")
    built = build(pd.concat([silent, heard], ignore_index=True), make_record(200), silence_days=60)
    exposure = dict(zip(built.landmarks["vin"], built.landmarks["exposure_days"], strict=True))
    assert exposure[VIN] == 60 - 30
    assert exposure["SYN00000000000001"] > 300
    assert not built.landmarks["is_event"].any(), "a record long after the last signal is no failure of it"


def test_what_other_vehicles_send_later_changes_no_label(fleet: Fleet) -> None:
    alone = build_training_set(fleet.features, fleet.records, data_until=fleet.data_until)
    later = make_rows(1, vin="SYN99000000000000", as_of=fleet.data_until + timedelta(days=400))
    later["newest_known_at"] = pd.Timestamp(fleet.data_until + timedelta(days=400), tz="UTC")
    both = build_training_set(
        pd.concat([fleet.features, later], ignore_index=True),
        fleet.records,
        data_until=fleet.data_until + timedelta(days=401),
    )
    limit = alone.landmarks["exposure_days"].max() + 62  # the silence that is allowed, and no more
    assert both.landmarks["exposure_days"].max() <= limit


def test_landmarks_between_a_replacement_and_its_booking_are_blanked() -> None:
    built = build(make_history(0, 14, 28), make_record(10, lag=10))
    assert [(day - pd.Timestamp(START)).days for day in built.landmarks["as_of"]] == [0, 28]
    assert built.left_out["landmarks_blanked"] == 1


def test_the_day_of_the_booking_is_no_longer_blanked() -> None:
    built = build(make_history(0, 14), make_record(10, lag=4))
    assert built.landmark_count == 2


def test_what_is_not_used_is_counted_by_reason() -> None:
    silent = make_history(0, vin="SYN00000000000001").assign(valid_days_90d=0.0)
    future = make_record(0, performed_on=UNTIL + timedelta(days=3))
    late = make_record(100, lag=400)
    stranger = make_record(30, vin="SYN99999999999999")
    other = make_history(0).assign(component="brakes", vin="SYN00000000000002")
    twice = make_record(60)
    features = pd.concat([make_history(0, 5, 14), silent, other, make_history(400)], ignore_index=True)
    built = build(features, future, late, stranger, twice, twice)
    expected = {
        "rows_of_other_components": 1,
        "rows_after_the_data": 1,
        "days_between_landmarks": 1,
        "landmarks_without_a_start_in_90_days": 1,
        "records_of_other_kinds": 0,
        "records_of_unknown_vehicles": 1,
        "records_after_the_data": 2,
        "repeated_records": 1,
    }
    assert {name: built.left_out[name] for name in expected} == expected
    assert built.landmark_count == 2


def test_a_history_of_one_day_is_refused_with_advice() -> None:
    with pytest.raises(TooFewFailuresError, match="load a longer history"):
        build(make_history(362))


def test_landmarks_keep_their_step_whatever_the_first_day() -> None:
    days = np.arange(20_003, 20_103)
    assert np.diff(days[is_landmark_day(days, 14)]).tolist() == [14] * 7
    thinned = days[days % 14 == 5]
    assert is_landmark_day(thinned, 14).all()


def test_the_order_of_rows_changes_nothing_and_a_number_everything(
    fleet: Fleet, training_set: TrainingSet
) -> None:
    shuffled = build_training_set(
        fleet.features.sample(frac=1, random_state=2),
        fleet.records.sample(frac=1, random_state=3),
        data_until=fleet.data_until,
    )
    assert shuffled.content_hash == training_set.content_hash
    pd.testing.assert_frame_equal(shuffled.landmarks, training_set.landmarks)
    changed = fleet.features.copy()
    changed.loc[changed.index[0], "rest_v_28d"] += 1e-6
    other = build_training_set(changed, fleet.records, data_until=fleet.data_until)
    assert other.content_hash != training_set.content_hash


def test_an_earlier_view_is_the_set_that_could_have_been_built_then(
    fleet: Fleet, training_set: TrainingSet
) -> None:
    day = date(2024, 2, 1)
    end = pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=1)
    known = fleet.records[fleet.records["recorded_at"] < end]
    past = fleet.features[fleet.features["as_of"] < day]
    built = build_training_set(past, known, data_until=day)
    assert training_set.as_known_at(day).content_hash == built.content_hash


def test_shuffled_labels_keep_the_landmarks_and_the_failures_but_not_their_owners(
    training_set: TrainingSet,
) -> None:
    shuffled = shuffle_labels(training_set, seed=5)
    assert len(shuffled.replacements) == len(training_set.replacements)
    assert shuffled.landmark_count == pytest.approx(training_set.landmark_count, rel=0.02)
    assert shuffled.content_hash != training_set.content_hash


def test_a_feature_from_the_future_is_refused() -> None:
    rows = make_history(0, 14)
    rows["newest_known_at"] = pd.Timestamp(START, tz="UTC") + pd.Timedelta(days=1)
    with pytest.raises(LeakageError, match="1 feature rows"):
        build(rows)


@pytest.mark.parametrize("name", ["vin", "newest_known_at", "rest_v_28d"])
def test_a_missing_column_is_named(name: str) -> None:
    with pytest.raises(FeatureFrameError, match=name):
        check_frame(make_rows(2).drop(columns=name))


def test_rows_that_no_model_may_see_are_refused() -> None:
    with pytest.raises(FeatureFrameError, match="repeats 1 rows"):
        check_frame(pd.concat([make_rows(1), make_rows(1)]))
    with pytest.raises(FeatureFrameError, match="infinite"):
        check_frame(make_rows(1, rest_v_28d=np.inf))
    with pytest.raises(FeatureFrameError, match="no number"):
        check_frame(make_rows(1, rest_v_28d="high"))
    with pytest.raises(FeatureFrameError, match="without vin"):
        check_frame(make_rows(1, vin=None))


def test_numbers_of_any_kind_become_floats_and_unknown_ones_nan() -> None:
    checked = check_frame(make_rows(2, rest_v_28d=pd.array([12, None], dtype="Int64")))
    assert checked[list(BATTERY_FEATURES)].dtypes.unique().tolist() == [np.dtype("float64")]
    assert checked["rest_v_28d"].isna().tolist() == [False, True]
